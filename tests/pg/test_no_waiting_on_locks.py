"""No collector waits for anybody's DDL: neither for a lock that is held, nor in the queue behind one that waits.

Whoever waits behind a queued ACCESS EXCLUSIVE is waited for in turn; a monitor must not be part of a pile-up.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pgvigil.plugins import Collector, TargetKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.session import Session, connect
from pgvigil.registry import collectors
from tests.support import watching
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.servers import Database

COLLECTORS = tuple(each for each in collectors().values() if each.fits(TargetKind.POSTGRES))

SHOP = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE parent (id int PRIMARY KEY, note text);
CREATE INDEX parent_note ON parent (note);
CREATE TABLE child (id int GENERATED ALWAYS AS IDENTITY, parent_id int REFERENCES parent);
ALTER TABLE child ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
CREATE TABLE numbered (id serial);
CREATE TABLE parts (id bigserial, at date) PARTITION BY RANGE (at);
CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX parts_at ON parts (at);
CREATE SEQUENCE numbers;
CREATE TABLE documents (body text);
ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM parent;
CREATE UNIQUE INDEX summary_count ON summary (count);
CREATE VIEW shown AS SELECT id FROM parent;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE distant (id int) SERVER far;
INSERT INTO parent SELECT n, n FROM generate_series(1, 1000) n;
INSERT INTO child (parent_id) SELECT id FROM parent;
INSERT INTO documents SELECT repeat('x', 10000) FROM generate_series(1, 10);
INSERT INTO parts (at) SELECT '2026-11-23' FROM generate_series(1, 100);
INSERT INTO numbered SELECT FROM generate_series(1, 10);
SELECT nextval('numbers');
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
ANALYZE;
"""
TOAST = """
DO $$ BEGIN
  EXECUTE format('SELECT FROM %s', (SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'documents'::regclass));
END $$
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """`ddl` takes ACCESS EXCLUSIVE (but for one) on a relation of that kind, and waits while a transaction that ran `reader` is open."""

    ddl: str
    reader: str


KINDS = {
    "table": Locked("LOCK TABLE parent IN ACCESS EXCLUSIVE MODE", "SELECT FROM parent"),
    "referencing table": Locked(
        "ALTER TABLE child VALIDATE CONSTRAINT positive, ADD more int", "SELECT FROM child"
    ),
    "table of a sequence": Locked("LOCK TABLE numbered IN ACCESS EXCLUSIVE MODE", "SELECT FROM numbered"),
    "partitioned table": Locked("LOCK TABLE parts IN ACCESS EXCLUSIVE MODE", "SELECT FROM parts"),
    "partition": Locked("LOCK TABLE parts_2026 IN ACCESS EXCLUSIVE MODE", "SELECT FROM parts_2026"),
    "partitioned index": Locked("DROP INDEX parts_at", "SELECT FROM parts"),
    "index": Locked("REINDEX INDEX parent_note", "SELECT FROM parent"),
    "primary key": Locked("REINDEX INDEX parent_pkey", "SELECT FROM parent"),
    "sequence": Locked("ALTER SEQUENCE numbers RENAME TO figures", "SELECT FROM numbers"),
    # Not the strongest lock, and yet in the way of whoever asks the sequence for its last value.
    "altered sequence": Locked("ALTER SEQUENCE numbers INCREMENT 2", "SELECT nextval('numbers')"),
    "owned sequence": Locked(
        "ALTER SEQUENCE numbered_id_seq RENAME TO counted", "SELECT FROM numbered_id_seq"
    ),
    "materialized view": Locked("REFRESH MATERIALIZED VIEW summary", "SELECT FROM summary"),
    "view": Locked("ALTER VIEW shown RENAME TO hidden", "SELECT FROM shown"),
    # Nobody can read a table whose wrapper has no handler; a comment is a lock as well.
    "foreign table": Locked(
        "ALTER FOREIGN TABLE distant RENAME TO farther", "COMMENT ON FOREIGN TABLE distant IS 'x'"
    ),
    "toast table": Locked("TRUNCATE documents", TOAST),
}


@contextmanager
def held(dsn: str, kind: Locked) -> Iterator[None]:
    """The lock is held; nobody waits."""
    with idle_in_transaction(dsn, kind.ddl):
        yield


@contextmanager
def queued(dsn: str, kind: Locked) -> Iterator[None]:
    """The lock is waited for, behind a transaction that reads."""
    with idle_in_transaction(dsn, kind.reader), blocked_session(dsn, kind.ddl):
        yield


class Waits:
    """What the server itself wrote down of a session's waits for locks, however short, since it was last asked."""

    def __init__(self, log: Path | None, pid: int) -> None:
        self._log = log
        self._said = f"process {pid} still waiting for"
        self._at = self._end()

    def __call__(self) -> list[str]:
        before, self._at = self._at, self._end()
        if self._log is None:
            return []
        with self._log.open("rb") as log:
            log.seek(before)
            written = log.read(self._at - before).decode(errors="replace")
        return [line for line in written.splitlines() if self._said in line]

    def _end(self) -> int:
        return 0 if self._log is None else self._log.stat().st_size


@pytest.fixture
def session(each_database: Database) -> Iterator[Session]:
    """As the daemon opens it, in the shop; the server logs each wait of it that lasts a millisecond."""
    each_database.execute(SHOP)
    dsn = watching.watch_dsn(each_database.dsn())
    role, database = sql.Identifier(watching.ROLE), sql.Identifier(each_database.name)
    with each_database.connect() as admin:
        for setting in (sql.SQL("deadlock_timeout = '1ms'"), sql.SQL("log_lock_waits = on")):
            admin.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} SET {}").format(role, database, setting))
    with closing(connect(Dsn.parse(dsn))) as opened:
        yield opened


@pytest.fixture
def waits(each_database: Database, session: Session) -> Waits:
    scratch = each_database.server.scratch
    return Waits(None if scratch is None else scratch.log, session.backend_pid)


def trouble(session: Session, collector: Collector[object], waits: Waits) -> list[str]:
    """What went wrong with one reading: it failed, or it waited and hid it."""
    if collector.extension is not None and collector.extension not in session.facts.extensions:
        return []
    waits()
    try:
        with session.within(collector.timeout_s):
            collector.read(session)
    except ReadError as error:
        return [f"{collector.name}: {error}", *waits()]
    return [f"{collector.name}: {line}" for line in waits()]


@pytest.mark.parametrize("kind", KINDS)
def test_no_collector_waits(kind: str, each_database: Database, session: Session, waits: Waits) -> None:
    """The lock stays until all have read, so whoever waits for it at all fails with lock_timeout."""
    for staged in (held, queued):
        with staged(each_database.dsn(), KINDS[kind]):
            found = [line for each in COLLECTORS for line in trouble(session, each, waits)]
        assert found == [], staged.__name__


def test_a_wait_would_be_seen(each_database: Database, session: Session, waits: Waits) -> None:
    """The measure measures: a query that opens a locked relation fails, and the server has written it down."""
    with held(each_database.dsn(), KINDS["table"]), pytest.raises(ReadError, match="lock timeout"):
        session._channel.ask(
            "SELECT pg_relation_size('public.parent')", None, 5.0, lambda cursor: cursor.fetchall()
        )
    if each_database.server.scratch is not None:
        assert "AccessShareLock" in waits()[0]


def test_the_lock_is_held_and_waited_for(each_database: Database, session: Session) -> None:
    """Each scene has the mode that it speaks of, granted in one and waited for in the other."""
    modes = (
        "SELECT bool_or(granted), bool_or(NOT granted) FROM pg_locks"
        " WHERE mode IN ('AccessExclusiveLock', 'ShareRowExclusiveLock') AND relation >= 16384"
    )
    for kind in KINDS.values():
        with held(each_database.dsn(), kind), psycopg.connect(each_database.dsn()) as observer:
            assert observer.execute(modes).fetchone() == (True, False), kind
        with queued(each_database.dsn(), kind), psycopg.connect(each_database.dsn()) as observer:
            assert (observer.execute(modes).fetchone() or ())[1] is True, kind
    assert session.facts.role == watching.ROLE
