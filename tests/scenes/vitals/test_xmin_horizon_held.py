"""Everybody who can hold back vacuum: told by name, with the command that lets it go; and who only seems to."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgvigil.model.level import Level
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from pgvigil.scratch.server import ScratchServer
from tests.support import ids, watching
from tests.support.locks import idle_in_transaction
from tests.support.pairs import caught_up, start_pair
from tests.support.polling import poll
from tests.support.servers import Database, StartServer
from tests.support.vitals import Vitals

HOUR = 3600.0
FEW = {"xmin_horizon_held": {"min_xids": 50}}
SETTINGS = {"max_prepared_transactions": "4", "wal_level": "logical", "max_replication_slots": "4"}


@pytest.fixture
def busy(start_server: StartServer) -> ScratchServer:
    return start_server(settings=SETTINGS)


@pytest.fixture
def session(busy: ScratchServer) -> Iterator[Session]:
    with closing(watching.watch(busy.dsn())) as opened:
        yield opened


def hold(seen: Vitals, session: Session, dsn: str, *, hours: int) -> None:
    """Hours pass, with work in each."""
    for _ in range(hours):
        ids.use_xids(dsn, 20)
        seen.look(session, after_s=HOUR)


def run_steps(dsn: str, seen: Vitals, subject: str) -> None:
    """Every command of the steps, as it stands."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        for step in seen.firing[subject].steps:
            if step.sql:
                admin.execute(step.sql.encode())


def test_a_prepared_transaction_is_named_and_rolled_back(
    vitals: Callable[..., Vitals], busy: ScratchServer, session: Session
) -> None:
    """A name that hides what it is does not reach the commands unseen."""
    seen = vitals({"xmin_horizon_held": {"min_xids": 50, "warning": "1ms"}})
    with psycopg.connect(busy.dsn(), autocommit=True) as admin:
        admin.execute("CREATE TABLE IF NOT EXISTS t (); BEGIN; INSERT INTO t DEFAULT VALUES")
        admin.execute("PREPARE TRANSACTION 'it''s \u202e'")
    seen.look(session)
    assert seen.open == {}
    ids.use_xids(busy.dsn(), 60)
    seen.look(session)
    subject = "prepared U&'it''s \\202E'"
    assert "prepared transaction U&'it''s" in seen.firing[subject].summary
    run_steps(busy.dsn(), seen, subject)
    seen.look(session, after_s=60)
    assert seen.open == {}


def test_a_slot_is_told_from_readings_alone_and_dropped(
    vitals: Callable[..., Vitals], busy: ScratchServer, session: Session
) -> None:
    """The server does not say since when: the ids that pgvigil has seen pass do."""
    seen = vitals(FEW)
    with psycopg.connect(busy.dsn(), autocommit=True) as admin:
        admin.execute("SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')")
    hold(seen, session, busy.dsn(), hours=4)
    assert "slot 'cdc' (catalogs)" not in seen.open
    hold(seen, session, busy.dsn(), hours=2)
    told = seen.firing["slot 'cdc' (catalogs)"]
    assert told.severity is Level.WARNING
    assert told.summary.startswith("Vacuum has been held back for 5h")
    assert "logical slot 'cdc' (inactive)" in told.summary
    run_steps(busy.dsn(), seen, "slot 'cdc' (catalogs)")
    seen.look(session, after_s=HOUR)
    assert seen.open == {}


def test_a_standby_that_reports_an_old_snapshot_is_named(
    vitals: Callable[..., Vitals], start_server: StartServer
) -> None:
    seen = vitals(FEW)
    primary, standby = start_pair(start_server, hot_standby_feedback="on", wal_receiver_status_interval="1s")
    with (
        closing(watching.watch(primary.dsn())) as session,
        closing(connect(Dsn.parse(watch_on(standby, primary)))) as on_standby,
    ):
        with idle_in_transaction(standby.dsn(), "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1"):
            poll(
                lambda: (
                    session_of(primary, "SELECT backend_xmin IS NOT NULL FROM pg_stat_replication")
                    == [(True,)]
                ),
                10,
            )
            hold(seen, session, primary.dsn(), hours=6)
            assert (
                "standby 'walreceiver' at 127.0.0.1"
                in seen.firing["standby 'walreceiver' at 127.0.0.1"].summary
            )
            other = vitals(FEW, target="the standby")
            other.look(on_standby)
            assert other.open == {}
        poll(
            lambda: seen.look(session, after_s=1.0) and not seen.open,
            15,
            message="the standby lets go and the incident resolves",
        )


def watch_on(standby: ScratchServer, primary: ScratchServer) -> str:
    """The role comes to the standby with everything else."""
    dsn = watching.watch_dsn(primary.dsn())
    with psycopg.connect(primary.dsn(), autocommit=True) as admin:
        admin.execute("CHECKPOINT")
    caught_up(primary, standby)
    return make_conninfo(dsn, port=standby.port)


def session_of(server: ScratchServer, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        return admin.execute(query.encode()).fetchall()


def test_a_session_is_one_message_and_the_older_rule_tells_it(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    """long_transaction knows it by the same session: what it holds back is evidence there."""
    seen = vitals({"long_transaction": {"warning": "1ms", "critical": "10h"}, **short()})
    with idle_in_transaction(database.dsn(), "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1") as holder:
        ids.use_xids(database.dsn(), 100)
        seen.look(reader)
        seen.look(reader, after_s=60)
        mine = [each for each in seen.firing.values() if str(holder.pid) in each.subject]
        assert [each.rule for each in mine] == ["long_transaction"]
        assert any("held back" in note for note in mine[0].evidence.notes)


def short() -> dict[str, dict[str, object]]:
    return {"xmin_horizon_held": {"min_xids": 50, "warning": "1ms", "critical": None}}


def test_a_session_alone_is_told_and_ended(
    vitals: Callable[..., Vitals], busy: ScratchServer, session: Session
) -> None:
    seen = vitals(short())
    with idle_in_transaction(
        busy.dsn(), "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1", application_name="report"
    ) as holder:
        ids.use_xids(busy.dsn(), 100)
        seen.look(session)
        (subject,) = seen.firing
        assert f"pid {holder.pid} (report, user postgres" in seen.firing[subject].summary
        run_steps(busy.dsn(), seen, subject)
        poll(lambda: seen.look(session, after_s=1) and not seen.open, 10, message="it is gone")


def test_the_healthy_twin_is_silent(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    """An old snapshot where nothing happens costs nothing, and one that is renewed is not old."""
    seen = vitals({"xmin_horizon_held": {"min_xids": 50, "warning": "2h"}})
    with idle_in_transaction(database.dsn(), "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1") as holder:
        seen.look(reader, after_s=0)
        seen.look(reader, after_s=5 * HOUR)
        assert [each for each in seen.open.values() if str(holder.pid) in each.subject] == []
