-- The least that pgvigil needs to watch a server (tier "watch"). Run as a superuser, once per server:
--   psql -v ON_ERROR_STOP=1 -f deploy/grants.sql
-- Then give the role a password (\password pgvigil) or a pg_hba.conf line. Nothing here needs superuser later.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgvigil') THEN
    -- Two connections, room for the one that is just being replaced, and for `pgvigil check` besides.
    CREATE ROLE pgvigil LOGIN CONNECTION LIMIT 5;
  END IF;
END
$$;

-- Statistics of all roles, their queries included; settings; nothing of the data.
GRANT pg_monitor TO pgvigil;

-- Limits that hold even if a client forgets them; pgvigil's own are tighter.
ALTER ROLE pgvigil SET statement_timeout = '30s';
ALTER ROLE pgvigil SET lock_timeout = '1s';
ALTER ROLE pgvigil SET idle_in_transaction_session_timeout = '30s';

-- pgvigil connects to every database that `databases` in its configuration matches. Where CONNECT was
-- revoked from PUBLIC:
--   GRANT CONNECT ON DATABASE shop TO pgvigil;

-- Statement statistics: shared_preload_libraries = 'pg_stat_statements' (restart), then in ONE database:
--   CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
-- Where its schema was closed to PUBLIC, in that database:
--   GRANT USAGE ON SCHEMA public TO pgvigil;
