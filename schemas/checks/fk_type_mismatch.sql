-- meaning: The columns of a foreign key are not of the type, or not of the collation, of those that they refer to. A
--   smaller integer is full before the key that it holds is; other types are converted at every comparison, and an
--   index on the referring side may not be used; under another collation texts may be equal on one side only.
-- severity: info
-- for: 30m
-- why: It works today, so info; a referring column that holds fewer numbers than the key (int to a bigint key) will refuse
--   rows one day, and is a warning. text and varchar are the same to the server and are not told of.
-- evidence: Both sides with their types and collations, and the definition of the foreign key.
-- what_to_do: Give the referring column the type of the key. A larger integer type rewrites the table under a lock: on a
--   large table add a new column, fill it in pieces, and swap.
-- warn_from: warning_narrower = 1 of narrower_columns: From this many columns that hold less than their key on.
WITH RECURSIVE base AS (
  SELECT t.oid, t.oid AS type, t.typbasetype AS below FROM pg_type AS t
  UNION ALL
  SELECT base.oid, t.oid, t.typbasetype FROM base JOIN pg_type AS t ON t.oid = base.below WHERE base.below <> 0
), wrong AS (
  SELECT c.oid, c.conname, c.conrelid, c.confrelid,
         string_agg(format('%I %s%s refers to %I %s%s', a.attname, format_type(a.atttypid, a.atttypmod), ac.words,
                           b.attname, format_type(b.atttypid, b.atttypmod), bc.words), '; ' ORDER BY key.position) AS pairs,
         count(*) FILTER (WHERE array_position('{int2,int4,int8}'::regtype[], at.type::regtype)
                                < array_position('{int2,int4,int8}'::regtype[], bt.type::regtype)) AS narrower,
         count(*) FILTER (WHERE at.type <> bt.type) AS types
  FROM pg_constraint AS c
  CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS key (own, other, position)
  JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = key.own
  JOIN pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = key.other
  JOIN base AS at ON at.oid = a.atttypid AND at.below = 0
  JOIN base AS bt ON bt.oid = b.atttypid AND bt.below = 0
  CROSS JOIN LATERAL (SELECT coalesce((SELECT format(' COLLATE %I', collname) FROM pg_collation
                      WHERE oid = a.attcollation AND a.attcollation <> b.attcollation), '') AS words) AS ac
  CROSS JOIN LATERAL (SELECT coalesce((SELECT format(' COLLATE %I', collname) FROM pg_collation
                      WHERE oid = b.attcollation AND a.attcollation <> b.attcollation), '') AS words) AS bc
  WHERE c.contype = 'f' AND c.conparentid = 0
    AND (a.attcollation <> b.attcollation
         OR at.type <> bt.type AND NOT (at.type IN ('text'::regtype, 'varchar'::regtype)
                                        AND bt.type IN ('text'::regtype, 'varchar'::regtype)))
  GROUP BY c.oid, c.conname, c.conrelid, c.confrelid
)
SELECT format('foreign key %I.%I.%I', n.nspname, t.relname, w.conname) AS subject,
       format('%I.%I', n.nspname, t.relname) AS relation,
       format('Foreign key %I of %I.%I: %s', w.conname, n.nspname, t.relname, w.pairs) AS summary,
       CASE WHEN w.narrower > 0 THEN 'Rows whose key has grown beyond the smaller type cannot be referred to: inserts fail.'
            WHEN w.types > 0 THEN 'Values are converted at every comparison, and joins may not use an index.'
            ELSE 'Joins may not use an index, and texts may be equal under one collation only.' END AS impact,
       NULL AS cause,
       ARRAY[['Refers to', format('%I.%I', pn.nspname, p.relname)], ['Columns', w.pairs]] AS figures,
       ARRAY[['On a large table: add a column of the type and collation of the key, fill it in pieces, and swap.', NULL],
             ['On a small one: ALTER COLUMN TYPE. Mind that this rewrites the table, and all access to it waits.',
              NULL]] AS steps,
       ARRAY[t.oid, p.oid] AS relations,
       'pg_constraint'::regclass::oid AS classid, w.oid AS objid,
       json_build_object('narrower_columns', w.narrower) AS measures,
       w.narrower * 1e12 + t.reltuples AS weight
FROM wrong AS w
JOIN pg_class AS t ON t.oid = w.conrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_class AS p ON p.oid = w.confrelid
JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
WHERE t.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
