-- meaning: Nothing tells the rows of a table apart: it has no primary key, and no unique index on columns that are never
--   null. One of two equal rows cannot be deleted or corrected by itself, logical replication cannot find the row that
--   changed, and tools that copy, compare or repack tables leave it out.
-- severity: info
-- for: 30m
-- why: Some tables are right without one (a log that is only appended to), so info, and no smallest size: the key is
--   easiest to add while the table is small. pgscv and postgres_ai report the same. Temporary and unlogged tables are
--   for work in progress and do not count.
-- evidence: The table, its rows and its size.
-- what_to_do: Look for columns that are unique together. Build a unique index on them concurrently, make them NOT NULL,
--   and let the index become the primary key. A log may stay as it is: ignore it.
-- tell_from: min_size = 0B of size_bytes: A smaller table is not told of.
SELECT format('table %I.%I', n.nspname, t.relname) AS subject,
       format('%I.%I', n.nspname, t.relname) AS relation,
       format('Table %I.%I (%s) has no primary key', n.nspname, t.relname, pg_size_pretty(size.bytes)) AS summary,
       'Nothing tells its rows apart: neither people nor logical replication can name one.' AS impact,
       NULL AS cause,
       ARRAY[['Size', pg_size_pretty(size.bytes)],
             ['Rows', CASE WHEN size.rows >= 0 THEN format('about %s', to_char(size.rows, 'FM999,999,999,999,990')) END],
             ['Partitions', nullif(size.partitions, 0)::text]] AS figures,
       ARRAY[['Look for columns that are unique together and never null. A log may stay as it is: ignore it.', NULL],
             [CASE WHEN t.relkind = 'p' THEN 'Add one: on a partitioned table its columns must contain the partition key.'
              ELSE 'Add one: build a unique index concurrently, then ALTER TABLE ... ADD PRIMARY KEY USING INDEX.' END,
              NULL]] AS steps,
       ARRAY[t.oid] AS relations,
       NULL::oid AS classid, NULL::oid AS objid,
       json_build_object('size_bytes', size.bytes) AS measures,
       size.bytes::float8 AS weight
FROM pg_class AS t
JOIN pg_namespace AS n ON n.oid = t.relnamespace
CROSS JOIN LATERAL (
  WITH RECURSIVE below AS (
    SELECT t.oid
    UNION ALL
    SELECT h.inhrelid FROM below JOIN pg_inherits AS h ON h.inhparent = below.oid WHERE t.relkind = 'p'
  )
  SELECT sum(c.relpages)::bigint * current_setting('block_size')::int AS bytes, count(*) - 1 AS partitions,
         sum(c.reltuples) FILTER (WHERE c.relkind <> 'p') AS rows
  FROM below JOIN pg_class AS c ON c.oid = below.oid
) AS size
WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND t.relpersistence = 'p'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
    SELECT FROM pg_index AS i
    WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid
      AND (i.indisprimary
           OR i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
              AND NOT EXISTS (
                SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS key (attnum)
                JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = key.attnum
                WHERE NOT a.attnotnull
              ))
  );
