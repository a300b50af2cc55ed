"""xmin_horizon: everybody who keeps rows from being vacuumed, and nobody else."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from collectors.xmin_horizon import COLLECTOR, Holder
from pgvigil.postgres.session import Session
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.locks import idle_in_transaction
from tests.support.pairs import start_pair
from tests.support.polling import poll
from tests.support.servers import Database, StartServer, server_starter

SETTINGS = {"max_prepared_transactions": "4", "wal_level": "logical", "max_replication_slots": "4"}


@pytest.fixture(scope="module")
def prepared_server() -> Iterator[ScratchServer]:
    with server_starter() as start:
        yield start(settings=SETTINGS)


@pytest.fixture
def holders(prepared_server: ScratchServer) -> Iterator[Callable[[], dict[str, Holder]]]:
    with closing(watching.watch(prepared_server.dsn())) as session:
        yield lambda: {each.kind: each for each in COLLECTOR.read(session).holders}


def test_a_snapshot_holds_and_a_session_without_one_does_not(
    reader: Session, each_database: Database
) -> None:
    def mine() -> list[Holder]:
        return [each for each in COLLECTOR.read(reader).holders if each.database == each_database.name]

    assert mine() == []
    with idle_in_transaction(
        each_database.dsn(), "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1"
    ) as staged:
        each_database.execute("CREATE TABLE t (); CREATE TABLE u ()")
        (held,) = mine()
        assert (held.kind, held.pid, held.backend_start) == ("session", staged.pid, staged.backend_start)
        assert held.xids >= 1
        assert held.since_s is not None
        assert held.application == "holder"
        staged.connection.rollback()
        assert mine() == []


def test_a_read_committed_session_that_wrote_holds_by_its_own_id(
    reader: Session, each_database: Database
) -> None:
    each_database.execute("CREATE TABLE t ()")
    with idle_in_transaction(each_database.dsn(), "INSERT INTO t DEFAULT VALUES") as staged:
        kinds = {each.pid: each.kind for each in COLLECTOR.read(reader).holders}
        assert kinds[staged.pid] == "session"


def test_a_prepared_transaction_holds(
    prepared_server: ScratchServer, holders: Callable[[], dict[str, Holder]]
) -> None:
    with psycopg.connect(prepared_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE TABLE two_phase (); BEGIN; INSERT INTO two_phase DEFAULT VALUES")
        admin.execute("PREPARE TRANSACTION 'it''s'")
        held = holders()["prepared"]
        assert (held.name, held.database, held.user_name) == ("it's", "postgres", "postgres")
        assert held.since_s is not None
        admin.execute("ROLLBACK PREPARED 'it''s'")
        assert "prepared" not in holders()


def test_a_logical_slot_holds_the_catalogues(
    prepared_server: ScratchServer, holders: Callable[[], dict[str, Holder]]
) -> None:
    with psycopg.connect(prepared_server.dsn(), autocommit=True) as admin:
        admin.execute("SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')")
        held = holders()["slot_catalog"]
        assert (held.name, held.state, held.backend_type, held.lost) == ("cdc", "inactive", "logical", False)
        admin.execute("SELECT pg_drop_replication_slot('cdc')")
        assert "slot_catalog" not in holders()


def test_a_standby_with_feedback_holds_by_name(start_server: StartServer) -> None:
    primary, standby = start_pair(start_server, hot_standby_feedback="on", wal_receiver_status_interval="1s")
    with (
        closing(watching.watch(primary.dsn())) as session,
        idle_in_transaction(standby.dsn(), "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1"),
    ):
        kinds = poll(
            lambda: {each.kind: each for each in COLLECTOR.read(session).holders if each.kind == "standby"},
            10,
            message="the standby reports its snapshot",
        )
    assert kinds["standby"].name == "walreceiver"
    assert kinds["standby"].since_s is None
