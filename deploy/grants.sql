-- What pgvigil needs on a server: tier watch, for the role pgvigil, PostgreSQL 13 to 18. Printed by `pgvigil
-- grants`; run it as a superuser, once per server, as often as you like:
--   psql -X -v ON_ERROR_STOP=1 -f grants.sql
-- What belongs into each database is done in the one that psql is connected to; `pgvigil grants --database
-- NAME` visits others, and grants CONNECT where that was revoked from PUBLIC.
-- Then give the role a password (\password) or a line in pg_hba.conf. pgvigil itself needs no superuser.

SET search_path = pg_catalog, pg_temp;

-- The role. pgvigil uses up to three connections at once; five leave room for one that is just being replaced
-- and for `pgvigil check`.
DO $grants$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgvigil') THEN
    CREATE ROLE pgvigil LOGIN CONNECTION LIMIT 5;
  END IF;
END
$grants$;

-- Statistics, settings, sessions and statements of all roles. Nothing of the data in tables; but the text of
-- running statements, and that may hold literals.
GRANT pg_monitor TO pgvigil;

-- Limits that hold even if a client of this role forgets its own; pgvigil's are tighter.
ALTER ROLE pgvigil SET statement_timeout = '30s';
ALTER ROLE pgvigil SET lock_timeout = '1s';
ALTER ROLE pgvigil SET idle_in_transaction_session_timeout = '30s';

-- Statement statistics. They need shared_preload_libraries = 'pg_stat_statements' (a restart), and in one
-- database of the server CREATE EXTENSION pg_stat_statements. This grants what was taken from PUBLIC there,
-- and does nothing elsewhere.
DO $grants$
DECLARE
  what text;
BEGIN
  FOR what IN SELECT n.nspname FROM pg_catalog.pg_extension AS e
    JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements' AND NOT has_schema_privilege('pgvigil', n.oid, 'USAGE')
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', what, 'pgvigil');
  END LOOP;
  FOR what IN SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
    JOIN pg_catalog.pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    WHERE e.extname = 'pg_stat_statements' AND p.proname IN ('pg_stat_statements', 'pg_stat_statements_info')
      AND NOT has_function_privilege('pgvigil', p.oid, 'EXECUTE')
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', what, 'pgvigil');
  END LOOP;
  FOR what IN SELECT c.oid::regclass::text FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
    JOIN pg_catalog.pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    WHERE e.extname = 'pg_stat_statements' AND c.relkind = 'v'
      AND NOT has_table_privilege('pgvigil', c.oid, 'SELECT')
  LOOP
    EXECUTE format('GRANT SELECT ON %s TO %I', what, 'pgvigil');
  END LOOP;
END
$grants$;

-- How far sequences have counted, of those that this database has now: one that runs out stops all inserts
-- into its table. Run it again for new ones; it shows nothing but the last value.
DO $grants$
DECLARE
  home name;
BEGIN
  FOR home IN SELECT DISTINCT n.nspname FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND CASE WHEN c.relkind = 'S'
      THEN NOT has_sequence_privilege('pgvigil', c.oid, 'SELECT,USAGE') END
  LOOP
    EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', home, 'pgvigil');
  END LOOP;
END
$grants$;

-- PostgreSQL 13 only: which subscription is which, to see that logical replication goes on. It shows a
-- number; the other columns are readable anyway, and the connection string stays hidden.
DO $grants$
BEGIN
  IF current_setting('server_version_num')::int < 140000 THEN
    GRANT SELECT (oid) ON pg_catalog.pg_subscription TO pgvigil;
  END IF;
END
$grants$;
