-- meaning: An index is the beginning of another one: whatever it is used for, the other serves as well. Every write
--   maintains both. Only what truly gives the same answers counts: operator classes, collations, sort order, predicate
--   and expressions are equal, included columns are all there, and a unique index is covered only by an equally
--   unique one. What is the same to the last column is told by duplicate_index.
-- severity: info
-- for: 30m
-- why: It costs writes and space and breaks nothing: info. From 10MB on, because the shorter index is a little faster
--   to read, which outweighs what a small one costs; pghero and postgres_ai's H004 report them at any size.
-- evidence: Both indexes with their sizes and how often each was scanned, and the definition of the shorter one.
-- what_to_do: Drop the shorter one, concurrently, and watch the queries that used it. Keep it where it is scanned very
--   often and the longer one is several times larger.
-- tell_from: min_size = 10MB of size_bytes: A smaller index is not told of.
WITH indexes AS (
  SELECT i.indexrelid, i.indrelid, i.indisunique, i.indimmediate, i.indnkeyatts AS keys, x.relispartition,
         x.relname, x.relkind, i.indkey::int2[] AS columns, i.indclass::oid[] AS classes,
         i.indcollation::oid[] AS collations, i.indoption::int2[] AS options,
         regexp_replace(i.indexprs::text, ':location -?\d+', '', 'g') AS expressions,
         regexp_replace(i.indpred::text, ':location -?\d+', '', 'g') AS predicate,
         CASE WHEN i.indisunique THEN to_jsonb(i) ->> 'indnullsnotdistinct' END AS nulls_not_distinct,
         i.indisprimary OR i.indisreplident OR i.indisclustered
         OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid) AS needed
  FROM pg_index AS i
  JOIN pg_class AS x ON x.oid = i.indexrelid
  JOIN pg_am AS am ON am.oid = x.relam
  WHERE am.amname = 'btree' AND i.indisvalid AND i.indisready AND i.indislive
    AND x.relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
), pairs AS (
  SELECT DISTINCT ON (a.indexrelid) a.*, b.indexrelid AS longer, b.relname AS longer_name
  FROM indexes AS a
  JOIN indexes AS b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid AND b.keys >= a.keys
  WHERE NOT a.needed AND NOT a.relispartition
    AND b.columns[0:a.keys - 1] = a.columns[0:a.keys - 1]
    AND b.classes[0:a.keys - 1] = a.classes[0:a.keys - 1]
    AND b.collations[0:a.keys - 1] = a.collations[0:a.keys - 1]
    AND b.options[0:a.keys - 1] = a.options[0:a.keys - 1]
    AND a.columns[a.keys:] <@ b.columns
    AND a.predicate IS NOT DISTINCT FROM b.predicate
    AND (0 <> ALL (a.columns) OR a.expressions = b.expressions)
    AND (NOT a.indisunique
         OR b.indisunique AND b.keys = a.keys AND b.indimmediate = a.indimmediate
            AND b.nulls_not_distinct IS NOT DISTINCT FROM a.nulls_not_distinct)
    AND (b.keys > a.keys OR b.indisunique AND NOT a.indisunique
         OR b.indisunique = a.indisunique AND cardinality(b.columns) > cardinality(a.columns))
  ORDER BY a.indexrelid, b.needed DESC, b.keys DESC, cardinality(b.columns) DESC, b.indexrelid
)
SELECT format('index %I.%I', n.nspname, p.relname) AS subject,
       format('%I.%I', n.nspname, t.relname) AS relation,
       format('Index %I (%s) on %I.%I is the beginning of %I', p.relname, pg_size_pretty(size.bytes), n.nspname,
              t.relname, p.longer_name) AS summary,
       'Every write to the table maintains both, and the longer one serves the same queries.' AS impact,
       CASE WHEN pg_stat_get_numscans(p.longer) = 0
            THEN 'The longer one has not been used so far: if it is to go, keep this one.' END AS cause,
       ARRAY[['Covered by', format('%I', p.longer_name)], ['Size', pg_size_pretty(size.bytes)],
             ['Size of the longer one', pg_size_pretty(size.longer_bytes)],
             ['Scanned', format('%s times, the longer one %s times', pg_stat_get_numscans(p.indexrelid),
                               pg_stat_get_numscans(p.longer))]] AS figures,
       CASE
         WHEN p.relkind = 'I' THEN ARRAY[['CONCURRENTLY is not possible for a partitioned index: all access to the'
           ' table waits behind the DROP, so let it give up early.', 'SET lock_timeout = ''2s'''],
           ['Drop it; try again later if it gives up.', format('DROP INDEX %I.%I', n.nspname, p.relname)]]
         ELSE ARRAY[['See how often its indexes are used, here and on each standby: those count for themselves.',
           format('SELECT indexrelname, idx_scan FROM pg_stat_all_indexes WHERE relid = %s', t.oid)],
           ['Drop it. It waits for transactions that use the table, and nothing waits for it.',
            format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, p.relname)],
           ['Should a query get slower, the definition above brings it back: CREATE INDEX CONCURRENTLY.', NULL]]
       END AS steps,
       ARRAY[t.oid, p.indexrelid, p.longer] AS relations,
       'pg_class'::regclass::oid AS classid, p.indexrelid AS objid,
       json_build_object('size_bytes', size.bytes) AS measures,
       size.bytes::float8 AS weight
FROM pairs AS p
JOIN pg_class AS t ON t.oid = p.indrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
CROSS JOIN LATERAL (
  WITH RECURSIVE below AS (
    SELECT of.oid AS root, of.oid FROM unnest(ARRAY[p.indexrelid, p.longer]) AS of (oid)
    UNION ALL
    SELECT below.root, h.inhrelid FROM below JOIN pg_inherits AS h ON h.inhparent = below.oid
  )
  SELECT sum(c.relpages) FILTER (WHERE root = p.indexrelid)::bigint * current_setting('block_size')::int AS bytes,
         sum(c.relpages) FILTER (WHERE root = p.longer)::bigint * current_setting('block_size')::int AS longer_bytes
  FROM below JOIN pg_class AS c ON c.oid = below.oid
) AS size
WHERE t.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
