"""The collector on every version: what it reads, what it leaves alone, what it costs the role."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from collectors.statements import COLLECTOR, ENTRIES
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from pgvigil.sql.statement import is_own
from pgvigil.statements import COUNTERS, KEY, Statement, StatementsReading, keys
from tests.support import watching
from tests.support.servers import Database

WORK = "SELECT count(*) AS work, '{}' FROM generate_series(1, 30000) AS n"


@pytest.fixture
def session(each_database: Database) -> Iterator[Session]:
    each_database.execute('CREATE SCHEMA "My ""stats"')
    each_database.execute('CREATE EXTENSION pg_stat_statements SCHEMA "My ""stats"')
    session = watching.watch(each_database.dsn())
    yield session
    session.close()


def entry(database: Database, reading: StatementsReading, like: str) -> Statement:
    """The one entry of this database whose text is `like` that."""
    (found,) = database.execute(
        'SELECT queryid FROM "My ""stats".pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid'
        " WHERE d.datname = current_database() AND query LIKE %s",
        [like],
    )
    (place,) = [at for at, key in enumerate(keys(reading.entries)) if key.queryid == found[0]]
    return Statement._make(reading.entries[name][place].item() for name in Statement._fields)


def test_reading_has_every_column_and_the_numbers_of_the_server(
    session: Session, each_database: Database
) -> None:
    for literal in ("a", "b", "c"):
        each_database.execute(WORK.format(literal))
    reading = COLLECTOR.read(session)
    found = entry(each_database, reading, "%AS work%")
    assert (found.calls, found.rows, found.toplevel) == (3, 3, True)
    assert found.exec_ms > 0
    assert found.temp_blocks >= 0
    dated = each_database.server.version_num >= 170000
    assert reading.dated is dated
    assert (found.stats_since.year == 1970) is not dated


def test_statistics_about_the_statistics(session: Session) -> None:
    reading = COLLECTOR.read(session)
    assert reading.opened[:4] == reading.closed[:4]
    assert reading.opened.read_at < reading.closed.read_at
    assert reading.opened.started_at < datetime.now(UTC)
    assert reading.opened.in_recovery is False
    if session.facts.version_num >= 140000:
        assert reading.opened.dealloc is not None
        assert reading.opened.stats_reset is not None


def test_eighteen_columns_at_most_and_no_text_among_them() -> None:
    assert len(ENTRIES.columns) <= 18
    assert "pg_stat_statements(false)" in ENTRIES.source
    assert {*KEY, *COUNTERS, "stats_since"} == set(Statement._fields)


def test_our_own_reading_is_known_by_its_marker(session: Session, each_database: Database) -> None:
    COLLECTOR.read(session)
    texts = [
        text
        for (text,) in each_database.execute(
            'SELECT query FROM "My ""stats".pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid'
            " WHERE d.datname = current_database()"
        )
    ]
    assert any(is_own(text) and "array_agg" in text for text in texts)


def test_entries_hidden_from_our_role_have_no_queryid_and_do_no_harm(
    session: Session, each_database: Database
) -> None:
    role = f"r_{each_database.name}"
    each_database.execute(f"CREATE ROLE {role} LOGIN")
    each_database.execute(f'GRANT USAGE ON SCHEMA "My ""stats" TO {role}')
    weak = connect(Dsn.parse(each_database.dsn(user=role)))
    reading = COLLECTOR.read(weak)
    weak.close()
    each_database.execute(f'REVOKE ALL ON SCHEMA "My ""stats" FROM {role}')
    each_database.execute(f"DROP ROLE {role}")
    assert (reading.entries["queryid"] == 0).any()
