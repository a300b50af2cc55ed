-- meaning: Two indexes are the same in everything that matters: columns, operator classes, collations, sort order,
--   predicate, expressions, uniqueness. Every write maintains both, and no query is any faster for the second one. The
--   finding names the one to drop; an index that a constraint, a foreign key or the replica identity needs is kept.
-- severity: info
-- for: 30m
-- why: A duplicate is never right, but nothing breaks: info, and no smallest size (pghero, pgscv and postgres_ai's
--   H004 report them at any size too). Seen in two readings, because a migration may build the new index before it
--   drops the old.
-- evidence: Both indexes, the definition of the one to drop, its size, and how often it was scanned.
-- what_to_do: Drop the one that is named, concurrently. A constraint's index goes with its constraint.
-- tell_from: min_size = 0B of size_bytes: A smaller duplicate is not told of.
WITH indexes AS (
  SELECT i.*, x.relname, x.relispartition, x.relkind, am.amname, i.indkey::int2[] AS columns,
         regexp_replace(i.indexprs::text, ':location -?\d+', '', 'g') AS expressions,
         regexp_replace(i.indpred::text, ':location -?\d+', '', 'g') AS predicate,
         k.conname, k.contype,
         EXISTS (SELECT FROM pg_constraint AS f WHERE f.conindid = i.indexrelid AND f.contype = 'f') AS referenced
  FROM pg_index AS i
  JOIN pg_class AS x ON x.oid = i.indexrelid
  JOIN pg_am AS am ON am.oid = x.relam
  LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
  WHERE i.indisvalid AND i.indisready AND i.indislive AND NOT i.indisexclusion
    AND x.relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
), ranked AS (
  SELECT indexrelid, conname, contype, referenced, relispartition, indisreplident,
         first_value(indexrelid) OVER same AS kept, row_number() OVER same AS rank
  FROM indexes
  WINDOW same AS (
    PARTITION BY indrelid, amname, indnkeyatts, indisunique, indimmediate, expressions, predicate,
                 indclass::text, indcollation::text, indoption::text, columns[0:indnkeyatts - 1],
                 ARRAY(SELECT unnest(columns[indnkeyatts:]) ORDER BY 1),
                 CASE WHEN indisunique THEN to_jsonb(indexes) ->> 'indnullsnotdistinct' END
    ORDER BY relispartition DESC, contype = 'p' DESC NULLS LAST, referenced DESC, indisreplident DESC,
             contype IS NOT NULL DESC, indisclustered DESC, indexrelid
  )
)
SELECT format('index %I.%I', n.nspname, x.relname) AS subject,
       format('%I.%I', n.nspname, t.relname) AS relation,
       format('Index %I on %I.%I duplicates %I (%s)', x.relname, n.nspname, t.relname, k.relname,
              pg_size_pretty(size.bytes)) AS summary,
       'Every write to the table maintains both, and queries need only one of them.' AS impact,
       NULL AS cause,
       ARRAY[['Keep', format('%I', k.relname)], ['Size', pg_size_pretty(size.bytes)],
             ['Constraint', d.conname], ['Scanned', format('%s times', pg_stat_get_numscans(x.oid))]] AS figures,
       CASE
         WHEN d.referenced THEN ARRAY[[format('Foreign keys refer to both %I and %I: point them at the second one,'
           ' then drop the constraint of the first.', x.relname, k.relname), NULL]]
         WHEN d.conname IS NOT NULL THEN ARRAY[['Drop the constraint; its index goes with it.',
           format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, t.relname, d.conname)]]
         ELSE CASE WHEN d.indisreplident THEN ARRAY[['It is the replica identity of the table: make the other one that'
           ' first.', format('ALTER TABLE %I.%I REPLICA IDENTITY USING INDEX %I', n.nspname, t.relname, k.relname)]]
         END || CASE WHEN x.relkind = 'I' THEN ARRAY[['CONCURRENTLY is not possible for a partitioned index: all access'
           ' to the table waits behind the DROP, so let it give up early.', 'SET lock_timeout = ''2s'''],
           ['Drop it; try again later if it gives up.', format('DROP INDEX %I.%I', n.nspname, x.relname)]]
         ELSE ARRAY[['See how often its indexes are used, here and on each standby: those count for themselves.',
           format('SELECT indexrelname, idx_scan FROM pg_stat_all_indexes WHERE relid = %s', t.oid)],
           ['Drop it. It waits for transactions that use the table, and nothing waits for it.',
            format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, x.relname)]]
         END
       END AS steps,
       ARRAY[t.oid, x.oid, k.oid] AS relations,
       'pg_class'::regclass::oid AS classid, x.oid AS objid,
       json_build_object('size_bytes', size.bytes) AS measures,
       size.bytes::float8 AS weight
FROM ranked AS d
JOIN pg_class AS x ON x.oid = d.indexrelid
JOIN pg_namespace AS n ON n.oid = x.relnamespace
JOIN pg_class AS k ON k.oid = d.kept
JOIN pg_index AS i ON i.indexrelid = x.oid
JOIN pg_class AS t ON t.oid = i.indrelid
CROSS JOIN LATERAL (
  WITH RECURSIVE below AS (
    SELECT x.oid
    UNION ALL
    SELECT h.inhrelid FROM below JOIN pg_inherits AS h ON h.inhparent = below.oid
  )
  SELECT sum(c.relpages)::bigint * current_setting('block_size')::int AS bytes
  FROM below JOIN pg_class AS c ON c.oid = below.oid
) AS size
WHERE d.rank > 1 AND NOT d.relispartition AND t.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
