-- meaning: A foreign key has no index on the side that refers. To delete a row of the table it refers to, or to change
--   its key, the server reads the whole referring table for each row, while it holds locks. Joins from there are slow too.
-- severity: info
-- for: 30m
-- why: Without deletes it costs nothing: info. What each day's deletes read in vain is their number times the size of the
--   referring table; from 100 GB on, about two minutes of a core even from memory, it is a warning. Up to 10MB a table
--   is read in some milliseconds. pgscv and postgres_ai report the missing index without asking for deletes.
-- evidence: Both tables with their sizes, how many rows were deleted and updated on the other side, and the definition.
-- what_to_do: Create the index, concurrently. Where rows of the other table are never deleted and their keys never
--   change, it may stay as it is: ignore it.
-- tell_from: min_size = 10MB of size_bytes: A foreign key of a smaller referring table is not told of.
-- warn_from: warning_read_per_day = 100GB of read_per_day_bytes: From this much read for deletes a day it is a warning.
WITH keys AS (
  SELECT c.oid, c.conname, c.conrelid, c.confrelid, c.conkey
  FROM pg_constraint AS c
  WHERE c.contype = 'f' AND c.conparentid = 0 AND to_jsonb(c) ->> 'conenforced' IS DISTINCT FROM 'false'
    AND NOT EXISTS (
      SELECT
      FROM pg_index AS i
      JOIN pg_class AS x ON x.oid = i.indexrelid
      JOIN pg_am AS am ON am.oid = x.relam
      WHERE i.indrelid = c.conrelid AND am.amname IN ('btree', 'hash')
        AND i.indisvalid AND i.indisready AND i.indislive AND cardinality(c.conkey) <= i.indnkeyatts
        AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey
        AND (i.indpred IS NULL OR substring(i.indpred::text FROM
             '^\{NULLTEST :arg \{VAR :varno 1 :varattno (\d+) [^{}]*\} :nulltesttype 1 [^{}]*\}$')::int2 = ANY (c.conkey))
    )
), days AS (
  SELECT greatest(extract(epoch FROM now() - greatest(d.stats_reset, b.stats_reset)) / 86400, 1) AS count
  FROM pg_stat_database AS d, pg_stat_bgwriter AS b
  WHERE d.datname = current_database()
)
SELECT format('foreign key %I.%I.%I', n.nspname, t.relname, k.conname) AS subject,
       format('%I.%I', n.nspname, t.relname) AS relation,
       format('Foreign key %I of %I.%I (%s) has no index on (%s)', k.conname, n.nspname, t.relname,
              pg_size_pretty(child.bytes), columns.names) AS summary,
       format('Each row deleted from %I.%I reads all of %I.%I; %s were deleted in %sd.', pn.nspname, p.relname,
              n.nspname, t.relname, parent.deleted, round(days.count)) AS impact,
       NULL AS cause,
       ARRAY[['Refers to', format('%I.%I', pn.nspname, p.relname)],
             ['Size', pg_size_pretty(child.bytes)],
             ['Rows there', format('%s deleted, %s updated in %sd', parent.deleted, parent.updated,
                                   round(days.count))],
             ['Read for deletes', pg_size_pretty((parent.deleted / days.count * child.bytes)::bigint) || ' a day']]
         AS figures,
       CASE WHEN t.relkind = 'p' THEN
         ARRAY[['Create the index. It keeps writes to all partitions waiting while it is built: to avoid that, create it'
                ' ON ONLY the parent, then concurrently on each partition, and attach those.',
                format('CREATE INDEX ON %I.%I (%s)', n.nspname, t.relname, columns.names)],
               ['See that it is there and valid on each partition: invalid_index tells of those that are not.', NULL]]
       ELSE
         ARRAY[['Create the index: reads and writes go on. It reads the table twice and waits for older transactions.',
                format('CREATE INDEX CONCURRENTLY ON %I.%I (%s)', n.nspname, t.relname, columns.names)],
               ['Should it be interrupted, an invalid index stays behind: drop that one, and begin again.', NULL]]
       END AS steps,
       ARRAY[t.oid, p.oid] AS relations,
       'pg_constraint'::regclass::oid AS classid, k.oid AS objid,
       json_build_object('size_bytes', child.bytes,
                         'read_per_day_bytes', parent.deleted / days.count * child.bytes) AS measures,
       (parent.deleted / days.count + 0.001) * child.bytes::float8 AS weight
FROM keys AS k
CROSS JOIN days
JOIN pg_class AS t ON t.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_class AS p ON p.oid = k.confrelid
JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
CROSS JOIN LATERAL (
  SELECT string_agg(format('%I', a.attname), ', ' ORDER BY key.position) AS names
  FROM unnest(k.conkey) WITH ORDINALITY AS key (attnum, position)
  JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = key.attnum
) AS columns
CROSS JOIN LATERAL (
  WITH RECURSIVE below AS (
    SELECT t.oid
    UNION ALL
    SELECT h.inhrelid FROM below JOIN pg_inherits AS h ON h.inhparent = below.oid
  )
  SELECT sum(c.relpages)::bigint * current_setting('block_size')::int AS bytes
  FROM below JOIN pg_class AS c ON c.oid = below.oid
) AS child
CROSS JOIN LATERAL (
  WITH RECURSIVE below AS (
    SELECT p.oid
    UNION ALL
    SELECT h.inhrelid FROM below JOIN pg_inherits AS h ON h.inhparent = below.oid
  )
  SELECT sum(pg_stat_get_tuples_deleted(below.oid)) AS deleted, sum(pg_stat_get_tuples_updated(below.oid)) AS updated
  FROM below
) AS parent
WHERE t.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
