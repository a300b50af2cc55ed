"""A server with as much in it as pgvigil promises to bear: relations, indexes, sequences and databases."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pgvigil.scratch.binaries import Binaries
from pgvigil.scratch.server import ScratchServer

RELATIONS, INDEXES, SEQUENCES, DATABASES = 10_000, 5_000, 1_000, 200
HOME = "wide"  # the database that has them; the others are empty
SETTINGS = {
    "pg_stat_statements.track_planning": "on",
    "pg_stat_statements.track_utility": "off",
    "autovacuum": "off",  # its work would be in the figures
    "max_locks_per_transaction": "1024",
    "shared_buffers": "256MB",
}
_BATCH = 500  # statements in one transaction

# Of the relations 200 are partitions, one in four has a TOAST table, one in eight has rows; one in ten refers to another one, and one in a hundred
# of those references was never validated.
_TABLE = """
DO $$ BEGIN
  FOR n IN {first}..{last} LOOP
    EXECUTE format('CREATE TABLE t%s (id int, other int, note %s)', n, CASE WHEN n % 4 = 0 THEN 'text' ELSE 'varchar(20)' END);
    IF n % 8 = 0 OR n = 2 THEN EXECUTE format('INSERT INTO t%s SELECT n, n, n FROM generate_series(1, 20) n', n); END IF;
  END LOOP;
END $$
"""
_INDEX = """
DO $$ BEGIN
  FOR n IN {first}..{last} LOOP
    IF n % 2 = 0 THEN EXECUTE format('ALTER TABLE t%s ADD PRIMARY KEY (id)', n);
    ELSE EXECUTE format('CREATE INDEX t%1$s_other ON t%1$s (other)', n); END IF;
  END LOOP;
END $$
"""
_REFERENCE = """
DO $$ BEGIN
  FOR n IN {first}..{last} LOOP
    EXECUTE format('ALTER TABLE t%s ADD FOREIGN KEY (other) REFERENCES t2 NOT VALID', n + 1000);
    IF n % 100 > 0 THEN
      EXECUTE format('ALTER TABLE t%1$s VALIDATE CONSTRAINT t%1$s_other_fkey', n + 1000);
    END IF;
  END LOOP;
END $$
"""
_SEQUENCE = """
DO $$ BEGIN
  FOR n IN {first}..{last} LOOP
    EXECUTE format('CREATE SEQUENCE s%s', n);
    PERFORM nextval(format('s%s', n)::regclass);
    IF n % 2 = 0 THEN EXECUTE format('ALTER SEQUENCE s%1$s OWNED BY t%1$s.id', n); END IF;
  END LOOP;
END $$
"""
_PARTITION = """
DO $$ BEGIN
  FOR n IN {first}..{last} LOOP
    EXECUTE format('CREATE TABLE p%1$s PARTITION OF parts FOR VALUES FROM (%1$s) TO (%1$s + 1)', n);
  END LOOP;
END $$
"""
_STEPS = (
    (_TABLE, RELATIONS - 201),
    (_INDEX, INDEXES),
    (_REFERENCE, 1000),
    (_SEQUENCE, SEQUENCES),
    (_PARTITION, 200),
)


def fill(server: ScratchServer) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {HOME}")
        for number in range(DATABASES):
            admin.execute(f"CREATE DATABASE d{number}")
    with psycopg.connect(server.dsn(HOME), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
        admin.execute("CREATE TABLE parts (id int) PARTITION BY RANGE (id)")
        for step, times in _STEPS:
            for first in range(1, times + 1, _BATCH):
                last = min(first + _BATCH - 1, times)
                admin.execute(step.replace("{first}", str(first)).replace("{last}", str(last)).encode())
        admin.execute("ANALYZE")
        admin.execute("CHECKPOINT")


@contextmanager
def many(chosen: Binaries) -> Iterator[ScratchServer]:
    """A server of that version, filled."""
    with ScratchServer.start(chosen, settings=SETTINGS) as server:
        fill(server)
        yield server
