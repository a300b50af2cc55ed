"""schema_checks: every check in its frame on real servers; one that fails loses no other, and none waits for DDL."""

import re
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest

from alerts.rules._checks import RULES
from collectors.constraints import COLLECTOR as CONSTRAINTS
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.query import Query
from pgvigil.postgres.session import Session, connect
from schemas.catalogue import checks
from schemas.collectors.schema_checks import COLLECTOR, QUERIES, SchemaReading, read
from schemas.rows import MOST_KNOWN, MOST_TOLD
from tests.support import watching
from tests.support.locks import idle_in_transaction
from tests.support.readings import context, snapshot
from tests.support.servers import Database, Server


class Faulty:
    """A session on which some queries fail."""

    def __init__(self, session: Session, faults: Mapping[str, FailureKind]) -> None:
        self._session = session
        self._faults = faults
        self.facts = session.facts

    def rows(self, query: Query[Any], parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
        kind = self._faults.get(query.name)
        if kind is not None:
            raise ReadError(Failure(kind, "as staged"))
        return self._session.rows(query, parameters)

    def frame(self, query: Query[Any], parameters: Mapping[str, Any] | None = None) -> Any:
        return self._session.frame(query, parameters)


@pytest.fixture
def shop(each_database: Database) -> Database:
    each_database.execute(
        "CREATE TABLE customers (id int PRIMARY KEY, name text);"
        "CREATE INDEX customers_name ON customers (name);"
        "CREATE INDEX customers_name_too ON customers (name);"
    )
    return each_database


def test_an_empty_database_has_nothing_to_tell(reader: Session) -> None:
    reading = COLLECTOR.read(reader)
    assert reading.failed == {}
    assert [rows for rows in reading.found.values() if rows] == []


def test_a_check_that_fails_is_told_and_the_others_are_made(reader: Session, shop: Database) -> None:
    name = "duplicate_index"
    others = {f"check_{each}": FailureKind.SQL for each in checks() if each != name}
    reading = COLLECTOR.read(Faulty(reader, others))
    assert [row.subject for row in reading.found[name]] == ["index public.customers_name_too"]
    assert reading.failed == {each: "as staged" for each in checks() if each != name}


def test_of_a_check_that_failed_nothing_recovers(reader: Session, shop: Database) -> None:
    reading = COLLECTOR.read(Faulty(reader, {"check_duplicate_index": FailureKind.TIMEOUT}))
    rule = RULES["duplicate_index"]
    judged = rule.evaluate(snapshot(reading, COLLECTOR.name, database=shop.name), rule.params(), context())
    assert judged.findings == ()
    assert judged.scope.blind_to(shop.name, "index public.customers_name_too")
    assert not judged.scope.blind_to("another", "index public.customers_name_too")
    assert judged.scope.reason == "the check could not be made: as staged"


def test_after_two_timeouts_the_server_is_left_in_peace(reader: Session) -> None:
    reading = COLLECTOR.read(Faulty(reader, {f"check_{name}": FailureKind.TIMEOUT for name in checks()}))
    assert reading.found == {}
    reasons = list(reading.failed.values())
    assert reasons[:2] == ["as staged"] * 2
    assert set(reasons[2:]) == {"not asked: the checks before it took too long"}


def test_when_the_time_is_up_no_other_check_is_begun(reader: Session, shop: Database) -> None:
    clock = iter([0.0, 1.0, *[60.0] * len(checks())])
    reading = read(reader, lambda: next(clock))
    assert list(reading.found) == list(checks())[:1]
    assert set(reading.failed.values()) <= {"not asked: the checks before it took too long"}


def test_a_lost_connection_fails_the_reading(reader: Session) -> None:
    first = next(iter(checks()))
    with pytest.raises(ReadError):
        COLLECTOR.read(Faulty(reader, {f"check_{first}": FailureKind.LOST}))


def test_no_check_waits_for_what_ddl_has_locked(reader: Session, shop: Database) -> None:
    """What is locked is found all the same, without its definition, and is not judged."""
    with idle_in_transaction(shop.dsn(), "LOCK TABLE customers IN ACCESS EXCLUSIVE MODE"):
        reading = COLLECTOR.read(reader)
    assert reading.failed == {}
    (row,) = reading.found["duplicate_index"]
    assert row.locked
    assert row.definition is None
    rule = RULES["duplicate_index"]
    judged = rule.evaluate(snapshot(reading, COLLECTOR.name, database=shop.name), rule.params(), context())
    assert judged.findings == ()
    assert judged.scope.blind_to(shop.name, "index public.customers_name_too")


def test_what_belongs_to_an_extension_is_its_own_business(reader: Session, shop: Database) -> None:
    shop.execute(
        "CREATE EXTENSION pg_stat_statements; ALTER EXTENSION pg_stat_statements ADD TABLE customers"
    )
    assert COLLECTOR.read(reader).found["duplicate_index"] == ()


def test_the_heaviest_are_told_and_of_the_rest_it_is_known_that_they_are_there(
    reader: Session, shop: Database
) -> None:
    shop.execute(
        "DO $$ BEGIN FOR i IN 1..60 LOOP"
        " EXECUTE format('CREATE INDEX c_%s ON customers (id, name)', i);"
        " END LOOP; END $$"
    )
    reading = COLLECTOR.read(reader)
    rows = reading.found["duplicate_index"]
    assert len(rows) == 60
    assert rows[0].found == 60
    assert all(row.summary for row in rows[:MOST_TOLD])
    assert [row.summary or row.definition or row.steps for row in rows[MOST_TOLD:]] == [[]] * 10
    (family,) = COLLECTOR.families
    tallies = {family.labels["check"](row): family.value(row) for row in family.rows(reading)}
    assert tallies["duplicate_index"] == 60
    assert len(rows) < MOST_KNOWN


def test_the_standbys_that_are_connected_are_counted(reader: Session) -> None:
    assert COLLECTOR.read(reader).standbys == 0


def test_its_queries_are_those_of_the_files() -> None:
    assert QUERIES.keys() == checks().keys() == RULES.keys()
    assert COLLECTOR.queries[0] is CONSTRAINTS.queries[0], "the locked relations are asked for in one way"
    assert SchemaReading().found == {}


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_names_of_another_encoding_come_whole(encoding: str, server: Server) -> None:
    name = f"schema_{encoding.lower()}"
    with server.connect() as admin:
        admin.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        try:
            with server.connect(name, client_encoding="UTF8") as connection:
                connection.execute("CREATE TABLE cafés (id int PRIMARY KEY, b int)")
                connection.execute("CREATE INDEX bé ON cafés (b); CREATE INDEX ça ON cafés (b)")
            with closing(connect(Dsn.parse(watching.watch_dsn(server.dsn())), database=name)) as session:
                reading = COLLECTOR.read(session)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert reading.failed == {}
    (row,) = reading.found["duplicate_index"]
    assert row.subject == 'index public."ça"'
    (_, look), drop = row.steps
    assert re.fullmatch(r"SELECT indexrelname, idx_scan FROM pg_stat_all_indexes WHERE relid = \d+", look)
    assert drop == [
        "Drop it. It waits for transactions that use the table, and nothing waits for it.",
        'DROP INDEX CONCURRENTLY public."ça"',
    ]
