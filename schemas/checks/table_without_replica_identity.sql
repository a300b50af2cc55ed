-- meaning: A table is published for logical replication with its updates or deletes, and has no replica identity: every
--   UPDATE and DELETE on it fails ("cannot update table ... because it does not have a replica identity").
-- severity: warning
-- for: 10m
-- why: It breaks what writes to the table, at once (PostgreSQL manual, 29.1.1 Replica Identity). Only a warning, because a
--   table that rows are only added to does not notice. Ten minutes, for whoever is about to add the key.
-- evidence: The table, the publications, what the replica identity is set to, and how often rows were changed before.
-- what_to_do: Add a primary key, or choose a unique index on columns that are never null. REPLICA IDENTITY FULL is the last
--   resort: whole rows go into the WAL, and the subscriber looks for each one.
WITH RECURSIVE up AS (
  SELECT t.oid, t.oid AS above FROM pg_class AS t WHERE t.relkind = 'r' AND t.relpersistence = 'p'
  UNION ALL
  SELECT up.oid, h.inhparent FROM up JOIN pg_class AS c ON c.oid = up.above AND c.relispartition
  JOIN pg_inherits AS h ON h.inhrelid = up.above
), roots AS (
  SELECT up.oid, up.above AS root FROM up JOIN pg_class AS c ON c.oid = up.above WHERE NOT c.relispartition
), published AS (
  SELECT up.oid, p.pubname
  FROM up
  JOIN pg_class AS c ON c.oid = up.above
  JOIN pg_publication AS p ON (p.pubupdate OR p.pubdelete) AND (
    p.puballtables
    OR EXISTS (SELECT FROM pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = up.above)
    OR EXISTS (  -- tables of a schema (15 and later): pg_publication_namespace, as pg_depend knows it
      SELECT FROM pg_depend AS of_publication JOIN pg_depend AS of_schema USING (classid, objid)
      WHERE classid = to_regclass('pg_catalog.pg_publication_namespace')
        AND of_publication.refclassid = 'pg_publication'::regclass AND of_publication.refobjid = p.oid
        AND of_schema.refclassid = 'pg_namespace'::regclass AND of_schema.refobjid = c.relnamespace
    ))
), tables AS (
  SELECT t.oid, t.relname, n.nspname, t.relreplident,
         array_agg(DISTINCT published.pubname::text ORDER BY published.pubname::text) AS publications,
         (SELECT min(r.relname::text) FROM pg_index AS i JOIN pg_class AS r ON r.oid = i.indexrelid
          WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
            AND i.indpred IS NULL AND i.indexprs IS NULL
            AND NOT EXISTS (
              SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS key (attnum)
              JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = key.attnum
              WHERE NOT a.attnotnull
            )) AS usable,
         roots.root
  FROM published
  JOIN roots ON roots.oid = published.oid
  JOIN pg_class AS t ON t.oid = published.oid
  JOIN pg_namespace AS n ON n.oid = t.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.relreplident <> 'f'
    AND NOT EXISTS (
      SELECT FROM pg_index AS i
      WHERE i.indrelid = t.oid AND i.indisvalid AND i.indimmediate
        AND CASE t.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
    )
  GROUP BY t.oid, t.relname, t.relreplident, n.nspname, roots.root
), publications AS (
  SELECT t.root, string_agg(DISTINCT format('%I', name), ', ' ORDER BY format('%I', name)) AS names
  FROM tables AS t, unnest(t.publications) AS name
  GROUP BY t.root
)
SELECT format('table %I.%I', rn.nspname, r.relname) AS subject,
       format('%I.%I', rn.nspname, r.relname) AS relation,
       format('UPDATE and DELETE fail on %I.%I: it is published by %s and has no replica identity', rn.nspname, r.relname,
              told.publications) AS summary,
       'Whatever changes or deletes its rows gets an error.' AS impact,
       told.cause AS cause,
       ARRAY[['Publications', told.publications],
             ['Partitions', CASE WHEN r.relkind = 'p' THEN format('%s without an identity', told.count) END],
             ['Rows changed so far', told.changed::text]] AS figures,
       ARRAY[[told.words, told.commands], ['Or add a primary key; it becomes the identity by default.', NULL]] AS steps,
       told.relations || r.oid AS relations,
       NULL::oid AS classid, NULL::oid AS objid,
       '{}'::json AS measures,
       told.changed::float8 AS weight
FROM (
  SELECT t.root, count(*) AS count, array_agg(t.oid) AS relations, min(p.names) AS publications,
         sum(pg_stat_get_tuples_updated(t.oid) + pg_stat_get_tuples_deleted(t.oid)) AS changed,
         CASE WHEN bool_or(t.relreplident = 'n') THEN 'The replica identity is set to NOTHING.'
              WHEN bool_or(t.relreplident = 'i') THEN 'The index that was the replica identity is gone or not valid.'
              ELSE 'It has no primary key, which is the identity by default.' END AS cause,
         CASE WHEN bool_and(t.usable IS NOT NULL) THEN 'Let the unique index be the identity.'
              ELSE 'Until there is a key, let the whole row be the identity.' END AS words,
         CASE WHEN count(*) <= 20 THEN string_agg(
           CASE WHEN t.usable IS NULL THEN format('ALTER TABLE %I.%I REPLICA IDENTITY FULL', t.nspname, t.relname)
                ELSE format('ALTER TABLE %I.%I REPLICA IDENTITY USING INDEX %I', t.nspname, t.relname, t.usable) END,
           E';\n' ORDER BY t.nspname, t.relname) END AS commands
  FROM tables AS t
  JOIN publications AS p ON p.root = t.root
  GROUP BY t.root
) AS told
JOIN pg_class AS r ON r.oid = told.root
JOIN pg_namespace AS rn ON rn.oid = r.relnamespace;
