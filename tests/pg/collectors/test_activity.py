"""activity: what a real server's sessions look like, and what each kind of session is taken for."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

import pytest

from alerts.rules.idle_in_transaction import RULE as IDLE
from alerts.rules.idle_in_transaction import IdleInTransactionParams
from collectors.activity import COLLECTOR, ActivityReading, Session
from pgvigil.postgres.session import Session as Reader
from tests.support import watching
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll
from tests.support.readings import context, snapshot
from tests.support.servers import Database


def session_of(reading: ActivityReading, pid: int) -> Session | None:
    return next((session for session in reading.sessions if session.pid == pid), None)


def test_an_idle_transaction_is_seen_with_its_ages_and_its_last_statement(
    reader: Reader, each_database: Database
) -> None:
    each_database.execute("CREATE TABLE t (id int)")
    with idle_in_transaction(
        each_database.dsn(), "INSERT INTO t VALUES (1)", application_name="billing"
    ) as held:
        seen = session_of(COLLECTOR.read(reader), held.pid)
    assert seen is not None
    assert (seen.state, seen.application, seen.database) == (
        "idle in transaction",
        "billing",
        each_database.name,
    )
    assert seen.backend_start == held.backend_start
    assert seen.backend_start.utcoffset() == timedelta(0)
    assert seen.state_age_s is not None
    assert seen.xact_age_s is not None
    assert 0 <= seen.state_age_s <= seen.xact_age_s < 60
    assert seen.xid_age is not None  # it has written
    assert seen.query == "INSERT INTO t VALUES (1)"
    assert (seen.client_backend, seen.idle_in_transaction, seen.own) == (True, True, False)


def test_the_rule_reads_what_the_collector_read(reader: Reader, each_database: Database) -> None:
    with idle_in_transaction(each_database.dsn(), "SELECT 'a secret'") as held:
        reading = COLLECTOR.read(reader)
    params = IdleInTransactionParams(warning="0s", critical=None)
    findings = IDLE.evaluate(snapshot(reading, "activity"), params, context()).findings
    (finding,) = [finding for finding in findings if f"session {held.pid}@" in finding.subject]
    assert finding.evidence.blocks[0].text == "SELECT $1"


def test_idle_sessions_are_counted_and_not_listed(reader: Reader, each_database: Database) -> None:
    with each_database.connect(application_name="quiet") as quiet:
        pid = quiet.info.backend_pid
        reading = COLLECTOR.read(reader)
    groups = [group for group in reading.groups if group.application == "quiet"]
    assert [(group.state, group.sessions, group.database) for group in groups] == [
        ("idle", 1, each_database.name)
    ]
    assert session_of(reading, pid) is None
    assert reading.connections == sum(reading.by_state().values())


def test_a_waiting_statement_shows_what_it_waits_for(reader: Reader, each_database: Database) -> None:
    each_database.execute("CREATE TABLE t (id int)")
    dsn = each_database.dsn()
    with idle_in_transaction(dsn, "LOCK TABLE t"), blocked_session(dsn, "TABLE t") as waiter:
        seen = session_of(COLLECTOR.read(reader), waiter.pid)
    assert seen is not None
    assert (seen.state, seen.wait_event_type, seen.wait_event) == ("active", "Lock", "relation")


def test_our_own_sessions_are_known_as_ours_and_an_impostor_is_not(
    reader: Reader, each_database: Database, as_role: Callable[..., Reader]
) -> None:
    """The name alone proves nothing: anybody may call a session pgvigil."""
    stranger = as_role()
    reading = COLLECTOR.read(reader)
    assert (session_of(reading, reader.backend_pid) or pytest.fail("we are not there")).own
    ours = watching.watch_dsn(each_database.dsn())
    with idle_in_transaction(ours, "SELECT 1", application_name="pgvigil") as same_role:
        again = COLLECTOR.read(reader)
        assert (session_of(again, same_role.pid) or pytest.fail("not there")).own
    assert stranger.facts.role != reader.facts.role
    group = [each for each in reading.groups if each.user_name == stranger.facts.role]
    assert sum(each.sessions for each in group) == 1


def test_usable_slots_exclude_every_reserved_one(reader: Reader, each_database: Database) -> None:
    names = ("max_connections", "superuser_reserved_connections", "reserved_connections")
    settings = dict(
        each_database.execute(
            "SELECT name, setting::int FROM pg_settings WHERE name = ANY (%s)", [list(names)]
        )
    )
    reserved = settings["superuser_reserved_connections"] + settings.get("reserved_connections", 0)
    assert COLLECTOR.read(reader).usable == settings["max_connections"] - reserved


def test_a_role_without_pg_monitor_counts_others_as_hidden(
    each_database: Database, as_role: Callable[..., Reader]
) -> None:
    with idle_in_transaction(each_database.dsn(), "SELECT 1") as held:
        reading = COLLECTOR.read(as_role())
        assert reading.hidden >= 1
        assert session_of(reading, held.pid) is None
    scope = IDLE.evaluate(snapshot(reading, "activity"), IdleInTransactionParams(), context()).scope
    assert not scope.covers(each_database.name, f"session {held.pid}@{held.backend_start.isoformat()}")


def test_pg_monitor_is_enough_to_see_everything(
    each_database: Database, as_role: Callable[..., Reader]
) -> None:
    with idle_in_transaction(each_database.dsn(), "SELECT 1") as held:
        reading = COLLECTOR.read(as_role("pg_monitor"))
    assert session_of(reading, held.pid) is not None
    assert reading.hidden == 0


def test_a_statement_in_another_encoding_does_not_blind_us(reader: Reader, each_database: Database) -> None:
    """A LATIN1 database's statement reaches us as raw bytes that are not UTF-8, and seems to end within a character."""
    latin = f"{each_database.name}_latin"
    each_database.execute(
        f"CREATE DATABASE {latin} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    try:
        dsn = each_database.server.dsn(latin, client_encoding="latin1")
        with idle_in_transaction(dsn, "SELECT 'naïve ÿþ' -- é") as held:
            seen = session_of(COLLECTOR.read(reader), held.pid)
    finally:
        each_database.execute(f"DROP DATABASE {latin} WITH (FORCE)")
    assert seen is not None
    assert seen.query.startswith("SELECT 'na\ufffdve")


def test_a_very_long_statement_is_cut_by_the_server(each_database: Database, reader: Reader) -> None:
    with idle_in_transaction(each_database.dsn(), "SELECT '" + "x" * 5_000_000 + "'") as held:
        seen = session_of(COLLECTOR.read(reader), held.pid)
    assert seen is not None
    assert len(seen.query) <= 4096


def test_forty_idle_sessions_cost_one_row(reader: Reader, each_database: Database) -> None:
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(each_database.connect(application_name="pool"))
        reading = poll(lambda: _settled(reader), message="all forty are idle")
    assert len([group for group in reading.groups if group.application == "pool"]) == 1


def _settled(reader: Reader) -> ActivityReading | None:
    reading = COLLECTOR.read(reader)
    pool = [group for group in reading.groups if group.application == "pool"]
    return reading if [(group.state, group.sessions) for group in pool] == [("idle", 40)] else None


def test_active_sessions_are_profiled_by_what_they_wait_for(reader: Reader, each_database: Database) -> None:
    """Idle ones and pgvigil's own are no part of it."""
    (family,) = [family for family in COLLECTOR.families if family.name == "wait_samples"]

    def waits() -> list[tuple[str, ...]]:
        rows = family.rows(COLLECTOR.read(reader))
        return [tuple(of(row) for of in family.labels.values()) for row in rows]

    lock = "SELECT pg_advisory_lock(4711)"
    with idle_in_transaction(each_database.dsn(), lock), blocked_session(each_database.dsn(), lock):
        seen = waits()
    assert ("Lock", "advisory") in seen
    assert "Client" not in {wait_event_type for wait_event_type, _ in seen}
