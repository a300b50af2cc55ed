-- meaning: No query has used an index for a month or more, on any server of the cluster. Writes maintain it, vacuum
--   visits it, and it takes space. An index that a constraint, a foreign key or the replica identity needs does not count.
-- severity: info
-- for: 7d
-- why: pganalyze tells of indexes without a scan for 35 days and above 32 kB; here 30 days, so that what runs once a
--   month has run, and 10MB, because the smaller ones cost little. It must be seen so for a week more, because a new
--   index may be younger than the statistics. A reset of the statistics begins the month anew and ends no incident;
--   where the server says when an index was last used (16 and later) that counts, elsewhere any scan since the
--   statistics began. On a server with standbys all of them must be watched and say the same: reports run there.
-- evidence: The index, its size, how far back the statistics reach, when it was last used, and its definition.
-- what_to_do: Ask whoever made it. Then drop it, concurrently; the definition brings it back. An index on an expression
--   also gives the planner statistics of that expression: compare plans before and after.
-- tell_from: min_size = 10MB of size_bytes: A smaller index is not told of.
-- know_from: min_unused = 30d of unused_s: For this long nobody must have used it, and the statistics must reach back.
-- on_standbys: confirm
WITH since AS (
  SELECT greatest(d.stats_reset, b.stats_reset) AS at
  FROM pg_stat_database AS d, pg_stat_bgwriter AS b
  WHERE d.datname = current_database()
), candidates AS (
  SELECT i.indexrelid, i.indrelid, x.relname, x.relkind, i.indexprs IS NOT NULL AS of_expression
  FROM pg_index AS i
  JOIN pg_class AS x ON x.oid = i.indexrelid
  WHERE i.indisvalid AND i.indisready AND i.indislive AND NOT x.relispartition
    AND x.relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
    AND NOT (i.indisunique OR i.indisexclusion OR i.indisreplident OR i.indisclustered)
    AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
    AND NOT EXISTS (
      SELECT FROM pg_constraint AS f
      WHERE f.conrelid = i.indrelid AND f.contype = 'f'
        AND (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey
    )
), used AS (
  SELECT c.*, tree.bytes, tree.scans, tree.last_scan, since.at AS since,
         extract(epoch FROM now() - greatest(since.at, tree.last_scan)) AS unused_s
  FROM candidates AS c
  CROSS JOIN since
  CROSS JOIN LATERAL (
    WITH RECURSIVE below AS (
      SELECT c.indexrelid AS oid
      UNION ALL
      SELECT h.inhrelid FROM below JOIN pg_inherits AS h ON h.inhparent = below.oid
    )
    SELECT sum(x.relpages)::bigint * current_setting('block_size')::int AS bytes, coalesce(sum(s.idx_scan), 0) AS scans,
           max((to_jsonb(s) ->> 'last_idx_scan')::timestamptz) AS last_scan
    FROM below JOIN pg_class AS x ON x.oid = below.oid
    LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = below.oid
  ) AS tree
)
SELECT format('index %I.%I', n.nspname, u.relname) AS subject,
       format('%I.%I', n.nspname, t.relname) AS relation,
       format('Index %I (%s) on %I.%I has not been used for %s days', u.relname, pg_size_pretty(u.bytes), n.nspname,
              t.relname, floor(u.unused_s / 86400)) AS summary,
       format('Writes maintain it (%s rows written since the statistics began), and no query gains by it.',
              pg_stat_get_tuples_inserted(t.oid) + pg_stat_get_tuples_updated(t.oid)
              + pg_stat_get_tuples_deleted(t.oid)) AS impact,
       CASE WHEN u.of_expression THEN 'It is on an expression: the planner may use the statistics that it gives.' END
         AS cause,
       ARRAY[['Size', pg_size_pretty(u.bytes)],
             ['Statistics since', to_char(u.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI"Z"')],
             ['Last used', to_char(u.last_scan AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI"Z"')],
             ['Scanned', format('%s times', u.scans)]] AS figures,
       CASE
         WHEN u.relkind = 'I' THEN ARRAY[['CONCURRENTLY is not possible for a partitioned index: all access to the'
           ' table waits behind the DROP, so let it give up early.', 'SET lock_timeout = ''2s'''],
           ['Drop it, when nobody needs it; try again later if it gives up.',
            format('DROP INDEX %I.%I', n.nspname, u.relname)]]
         ELSE ARRAY[['See how often its indexes are used, here and on each standby: those count for themselves.',
           format('SELECT indexrelname, idx_scan FROM pg_stat_all_indexes WHERE relid = %s', t.oid)],
           ['Drop it, when nobody needs it. It waits for transactions that use the table, and nothing waits for it.',
            format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, u.relname)],
           ['Should a query get slower, the definition above brings it back: CREATE INDEX CONCURRENTLY.', NULL]]
       END AS steps,
       ARRAY[t.oid, u.indexrelid] AS relations,
       'pg_class'::regclass::oid AS classid, u.indexrelid AS objid,
       json_build_object('size_bytes', u.bytes, 'unused_s', u.unused_s) AS measures,
       u.bytes::float8 AS weight
FROM used AS u
JOIN pg_class AS t ON t.oid = u.indrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE (u.scans = 0 OR u.last_scan < now() - interval '7 days')
  AND t.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
