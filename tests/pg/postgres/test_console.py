"""Sessions with a PgBouncer's admin console: real ones, versions that are not here, and answers out of order."""

import signal
import socket
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from collectors import availability, pgbouncer_pools, pgbouncer_server, pgbouncer_stats, settings
from pgvigil.model.failure import FailureKind
from pgvigil.model.kind import TargetKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.limits import Limits
from pgvigil.postgres.session import ConsoleSession, Session, connect, list_databases
from tests.support import poolers
from tests.support.fake_console import answers, error, fake_console, table
from tests.support.polling import poll
from tests.support.servers import Database

QUICK = Limits(connect_s=1.0, connect_total_s=1.0, statement_s=0.5, margin_s=0.3)


def console(dsn: str) -> Session:
    return connect(Dsn.parse(dsn), kind=TargetKind.PGBOUNCER, limits=QUICK)


def failure_of(work: Any) -> FailureKind:
    with pytest.raises(ReadError) as raised:
        work()
    return raised.value.failure.kind


@pytest.fixture
def pooler(database: Database, start_pooler: poolers.StartPooler) -> poolers.Pooler:
    return start_pooler({"shop": poolers.line(database.dsn())}, max_client_conn=33)


# --- a real one -------------------------------------------------------------------------------------------


def test_its_facts_are_those_of_a_pooler(pooler: poolers.Pooler) -> None:
    with closing(console(pooler.dsn())) as session:
        facts = session.facts
        assert (facts.kind, facts.role, facts.database) == (
            TargetKind.PGBOUNCER,
            poolers.WATCHER,
            "pgbouncer",
        )
        assert facts.version.count(".") == 2
        assert facts.version_num >= 11_600
        assert facts.max_connections == 33
        assert facts.started_at is None
        assert list_databases(session) == ()
        assert availability.COLLECTOR.read(session).up


@pytest.mark.parametrize("more", ["options='-c work_mem=1MB'", "target_session_attrs=read-write", ""])
def test_what_a_console_would_refuse_is_not_asked_of_it(pooler: poolers.Pooler, more: str) -> None:
    """A dsn written for a server, and no database in it, leads to the console all the same."""
    named = pooler.dsn().replace("dbname=pgbouncer", "")
    with closing(console(f"{named} {more}")) as session:
        assert session.database == "pgbouncer"


def test_a_query_in_sql_is_a_defect_and_is_not_sent(pooler: poolers.Pooler) -> None:
    with closing(console(pooler.dsn())) as session:
        assert isinstance(session, ConsoleSession)
        with pytest.raises(TypeError):
            session.rows(settings.SETTINGS)
        with pytest.raises(TypeError):
            session.frame(settings.SETTINGS)
        assert availability.COLLECTOR.read(session).up


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ({"user": poolers.APPLICATION}, "not allowed"),
        ({"password": "wrong"}, "authentication failed"),
        ({"user": "stranger"}, "authentication failed"),
    ],
)
def test_who_is_not_let_in_is_told_so(pooler: poolers.Pooler, who: dict[str, str], words: str) -> None:
    with pytest.raises(ReadError) as raised:
        console(pooler.dsn(**who))
    assert raised.value.failure.kind is FailureKind.AUTHENTICATION
    assert words in raised.value.failure.message
    assert poolers.PASSWORD not in raised.value.failure.message


def test_a_stopped_process_costs_the_deadline_and_no_more(pooler: poolers.Pooler) -> None:
    with closing(console(pooler.dsn())) as session:
        pooler.freeze()
        began = time.monotonic()
        assert failure_of(lambda: availability.COLLECTOR.read(session)) is FailureKind.SILENT
        assert failure_of(lambda: console(pooler.dsn())) is FailureKind.SILENT
        assert time.monotonic() - began < 10
        assert session.broken
        pooler.thaw()
    with closing(console(pooler.dsn())) as again:
        assert availability.COLLECTOR.read(again).up


def test_a_restart_ends_the_session_and_the_next_one_is_good(pooler: poolers.Pooler) -> None:
    with closing(console(pooler.dsn())) as session:
        pooler.stop()
        assert failure_of(lambda: availability.COLLECTOR.read(session)) is FailureKind.LOST
        assert session.broken
        assert failure_of(lambda: console(pooler.dsn())) is FailureKind.REFUSED
        pooler.start()
    with closing(console(pooler.dsn())) as again:
        assert availability.COLLECTOR.read(again).up


def test_a_read_can_be_interrupted_from_another_thread(pooler: poolers.Pooler) -> None:
    with closing(connect(Dsn.parse(pooler.dsn()), kind=TargetKind.PGBOUNCER)) as session:
        pooler.freeze()
        cut = threading.Timer(0.2, session.interrupt)
        cut.start()
        began = time.monotonic()
        assert failure_of(lambda: availability.COLLECTOR.read(session)) is FailureKind.SILENT
        assert time.monotonic() - began < 5
        cut.join()
        pooler.thaw()


def test_a_console_that_is_full_of_clients_still_lets_pgvigil_in(
    database: Database, start_pooler: poolers.StartPooler
) -> None:
    pooler = start_pooler({"shop": poolers.line(database.dsn())}, max_client_conn=1)
    with pooler.client(), closing(console(pooler.dsn())) as session:
        reading = pgbouncer_pools.COLLECTOR.read(session)
    assert (reading.clients, reading.max_clients) == (2, 1)


def test_a_shutdown_that_waits_for_clients_waits_for_us_until_we_leave(pooler: poolers.Pooler) -> None:
    """Why the daemon connects anew from time to time: from 1.23 on this is what SIGTERM does."""
    with closing(console(pooler.dsn())) as session:
        if session.facts.version_num < 12_300:
            pooler.signal(signal.SIGINT)  # waits for servers: none is there
        else:
            pooler.signal(signal.SIGTERM)
            assert failure_of(lambda: console(pooler.dsn())) is FailureKind.REFUSED
            assert availability.COLLECTOR.read(session).up
    poll(lambda: not pooler.running, 10)


# --- other targets ----------------------------------------------------------------------------------------


def test_a_server_is_no_pooler(database: Database) -> None:
    with pytest.raises(ReadError) as raised:
        console(database.dsn())
    assert raised.value.failure.kind is FailureKind.NO_DATABASE


def test_a_server_with_a_database_of_that_name_is_no_pooler_either(database: Database) -> None:
    name = "pgbouncer"
    with database.server.connect() as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            with pytest.raises(ReadError) as raised:
                console(database.server.dsn(name))
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert raised.value.failure.kind is FailureKind.PROTOCOL
    assert "not the admin console of a PgBouncer" in raised.value.failure.message


def test_a_console_is_no_server(pooler: poolers.Pooler) -> None:
    with pytest.raises(ReadError) as raised:
        connect(Dsn.parse(pooler.dsn()), limits=QUICK)
    assert raised.value.failure.kind is FailureKind.PROTOCOL
    assert 'write kind = "pgbouncer"' in raised.value.failure.message


def test_a_web_server_is_no_pooler() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert (
            failure_of(lambda: console(f"host=127.0.0.1 port={listener.getsockname()[1]}"))
            is FailureKind.PROTOCOL
        )


# --- other versions ---------------------------------------------------------------------------------------

# As the manuals of these versions describe the columns.
OLD_POOLS = table(
    (
        "database",
        "user",
        "cl_active",
        "cl_waiting",
        "cl_cancel_req",
        "sv_active",
        "sv_idle",
        "sv_used",
        "sv_tested",
        "sv_login",
        "maxwait",
        "maxwait_us",
        "pool_mode",
    ),
    ("shop", "app", 3, 2, 1, 4, 0, 0, 0, 0, 7, 500_000, "transaction"),
)
OLD_DATABASES = table(
    (
        "name",
        "host",
        "port",
        "database",
        "force_user",
        "pool_size",
        "min_pool_size",
        "reserve_pool",
        "pool_mode",
        "max_connections",
        "current_connections",
        "paused",
        "disabled",
    ),
    ("shop", "db1", 5432, "shop", None, 20, 0, 5, None, 0, 4, 0, 0),
)
NEW_POOLS = table(
    (
        "database",
        "user",
        "cl_active",
        "cl_waiting",
        "cl_active_cancel_req",
        "cl_waiting_cancel_req",
        "sv_active",
        "sv_active_cancel",
        "sv_being_canceled",
        "sv_idle",
        "sv_used",
        "sv_tested",
        "sv_login",
        "maxwait",
        "maxwait_us",
        "pool_mode",
        "load_balance_hosts",
        "of_the_future",
    ),
    ("shop", "app", 3, 2, 1, 0, 4, 1, 1, 0, 0, 0, 0, 7, 500_000, "transaction", None, "?"),
)
NEW_DATABASES = table(
    (
        "name",
        "host",
        "port",
        "database",
        "force_user",
        "pool_size",
        "min_pool_size",
        "reserve_pool_size",
        "server_lifetime",
        "pool_mode",
        "load_balance_hosts",
        "max_connections",
        "current_connections",
        "max_client_connections",
        "current_client_connections",
        "paused",
        "disabled",
    ),
    ("shop", "db1", 5432, "shop", None, 20, 0, 5, 3600, None, None, 0, 4, 0, 5, 0, 0),
)
LISTS = table(("list", "items"), ("used_clients", 6), ("login_clients", 1))


@pytest.mark.parametrize(
    ("version", "pools", "databases", "taken", "cancelling"),
    [("1.16.1", OLD_POOLS, OLD_DATABASES, 4, None), ("1.24.1", NEW_POOLS, NEW_DATABASES, 6, 1)],
)
def test_columns_that_a_version_has_not_are_none_and_those_it_alone_has_are_left(
    version: str, pools: bytes, databases: bytes, taken: int, cancelling: int | None
) -> None:
    said = answers(version, POOLS=pools, DATABASES=databases, LISTS=LISTS)
    with fake_console(said) as dsn, closing(console(dsn)) as session:
        assert session.facts.version == version
        reading = pgbouncer_pools.COLLECTOR.read(session)
    (pool,) = reading.pools
    assert (pool.cl_active, pool.cl_waiting, pool.longest_wait_s, pool.taken) == (3, 2, 7.5, taken)
    assert pool.sv_active_cancel == cancelling
    assert reading.databases["shop"].reserve_pool_size == 5
    assert reading.clients == 6


def test_counters_that_only_newer_versions_have_are_read_there() -> None:
    columns = ("database", "total_xact_count", "total_query_count", "total_server_assignment_count")
    more = ("total_received", "total_sent", "total_xact_time", "total_query_time", "total_wait_time")
    row = ("shop", 2**70, 2, 3, 4, 5, 6, 7, 8)
    stats = table((*columns, *more), row, type_of=dict.fromkeys((*columns[1:], *more), 1700))
    with fake_console(answers("1.23.0", STATS=stats)) as dsn, closing(console(dsn)) as session:
        (traffic,) = pgbouncer_stats.COLLECTOR.read(session)
    assert (traffic.xact_count, traffic.server_assignment_count, traffic.bind_count) == (2**70, 3, None)


# --- damage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        table(("something", "else"), ("x", "y")),  # of another question
        table(("database", "user", "maxwait"), ("a", "b", 1), ("a", "b", b"\xff\xfe")),  # no number
        table(("database", "user"), ("a", "b"))[:-9],  # cut short
        b"",  # nothing at all
    ],
)
def test_a_damaged_answer_costs_the_connection_and_is_no_reading(answer: bytes) -> None:
    said = answers("1.18.0", POOLS=answer, DATABASES=OLD_DATABASES, LISTS=LISTS)
    with fake_console(said) as dsn, closing(console(dsn)) as session:
        kind = failure_of(lambda: pgbouncer_pools.COLLECTOR.read(session))
        assert kind in {FailureKind.PROTOCOL, FailureKind.SILENT, FailureKind.LOST}
        assert session.broken


def test_names_in_no_encoding_are_read_with_replacement_characters() -> None:
    pools = table(("database", "user", "maxwait"), (b"a\xff", "b", 1))
    with fake_console(answers("1.18.0", POOLS=pools)) as dsn, closing(console(dsn)) as session:
        (row,) = session.rows(pgbouncer_pools.POOLS)
    assert row.database == "a\ufffd"


@pytest.mark.parametrize(
    ("said", "kind"),
    [("admin access needed", FailureKind.PRIVILEGE), ("out of wits", FailureKind.SQL)],
)
def test_an_error_of_the_console_is_told_by_its_words_and_costs_nothing_else(
    said: str, kind: FailureKind
) -> None:
    """It gives the same SQLSTATE, that of a broken protocol, to everything."""
    said_by = answers("1.18.0", POOLS=error(said))
    with fake_console(said_by) as dsn, closing(console(dsn)) as session:
        assert failure_of(lambda: session.rows(pgbouncer_pools.POOLS)) is kind
        assert not session.broken
        assert pgbouncer_server.COLLECTOR.read(session).version == "1.18.0"


def test_a_console_that_tells_no_version_is_none() -> None:
    with fake_console({"SHOW VERSION": table(("version",), ("Odd 1.0",))}) as dsn:
        assert failure_of(lambda: console(dsn)) is FailureKind.PROTOCOL
