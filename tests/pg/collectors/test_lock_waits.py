"""lock_waits: real waits on real servers, of every kind that the tree must tell apart."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any, LiteralString

import psycopg
import pytest

from alerts.rules._wait_trees import Chain, chains
from alerts.rules.blocking_chain import RULE, BlockingChainParams
from collectors.lock_waits import COLLECTOR, WaitGraph
from pgvigil.model.finding import Finding
from pgvigil.postgres.session import Session as Reader
from tests.support import watching
from tests.support.locks import StagedSession, blocked_session, idle_in_transaction
from tests.support.polling import poll
from tests.support.readings import context, snapshot
from tests.support.servers import Database, Server, StartServer, installations


@pytest.fixture
def shop(each_database: Database) -> Database:
    each_database.execute(
        "CREATE TABLE invoices (id int PRIMARY KEY, status text);"
        "INSERT INTO invoices SELECT n, 'open' FROM generate_series(1, 10) n"
    )
    return each_database


def read(reader: Reader, database: Database) -> WaitGraph:
    """What concerns this database alone: other tests may play on the same server."""
    graph = COLLECTOR.read(reader)
    ours = {
        pid: blockers
        for pid, blockers in graph.blockers.items()
        if graph.sessions[pid].database == database.name
    }
    return WaitGraph(
        connections=graph.connections,
        sessions=graph.sessions,
        prepared=graph.prepared,
        blockers=ours,
        waits=graph.waits,
        held=graph.held,
    )


def only(graph: WaitGraph) -> Chain:
    (chain,) = chains(graph)
    return chain


def finding_of(graph: WaitGraph) -> Finding:
    (finding,) = RULE.evaluate(snapshot(graph, "lock_waits"), BlockingChainParams(), context()).findings
    return finding


@contextmanager
def prepared_transaction(database: Database, gid: str, *statements: str) -> Iterator[None]:
    """Holds what `statements` locked, with no session behind it."""
    with psycopg.connect(database.dsn()) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PREPARE TRANSACTION '{gid}'")
    try:
        yield
    finally:
        database.execute(f"ROLLBACK PREPARED '{gid}'")


def test_nothing_waits_and_only_the_cheap_question_is_asked(reader: Reader, shop: Database) -> None:
    with idle_in_transaction(shop.dsn(), "UPDATE invoices SET status = 'x' WHERE id = 1"):
        graph = read(reader, shop)
    assert chains(graph) == ()
    assert graph.connections >= 2


def test_a_pile_up_behind_queued_ddl_is_one_tree(reader: Reader, shop: Database) -> None:
    dsn = shop.dsn()
    with ExitStack() as stack:
        held = idle_in_transaction(dsn, "UPDATE invoices SET status = 'paid' WHERE id = 1")
        root = stack.enter_context(held)
        same_row = "UPDATE invoices SET status = 'void' WHERE id = 1"
        first = stack.enter_context(blocked_session(dsn, same_row))
        second = stack.enter_context(blocked_session(dsn, same_row))
        ddl = stack.enter_context(blocked_session(dsn, "ALTER TABLE invoices ADD COLUMN note text"))
        readers = [stack.enter_context(blocked_session(dsn, "SELECT count(*) FROM invoices")) for _ in "ab"]
        graph = read(reader, shop)
    chain = only(graph)
    assert chain.root == root.pid
    assert set(chain.waiters) == {first.pid, second.pid, ddl.pid, *(each.pid for each in readers)}
    assert set(chain.children[ddl.pid]) == {each.pid for each in readers}
    assert chain.children[first.pid] == (second.pid,)
    tree = finding_of(graph).evidence.blocks[0].text
    assert f"{ddl.pid} waits" in tree
    assert "AccessExclusive on public.invoices" in tree
    assert "a row of public.invoices (its transaction)" in tree
    assert "holds: RowExclusive on public.invoices" in tree
    assert "'paid'" not in tree


def test_waits_are_as_old_as_the_wait_not_as_the_statement(reader: Reader, shop: Database) -> None:
    """From PostgreSQL 14 on the server says when a wait began; a statement may have worked for hours before."""
    dsn = shop.dsn()
    lock = "SELECT pg_advisory_lock(42)"
    slow_then_wait = f"DO $$ BEGIN PERFORM pg_sleep(1.5); EXECUTE '{lock}'; END $$"
    with (
        idle_in_transaction(dsn, lock),
        blocked_session(dsn, slow_then_wait) as waiter,
    ):
        graph = poll(lambda: _has(read(reader, shop), waiter.pid), message="it waits")
        wait_s = graph.waits[waiter.pid].wait_age_s
        query_s = graph.sessions[waiter.pid].query_age_s
    assert wait_s is not None
    assert query_s is not None
    if shop.server.version_num < 140000:
        assert wait_s == query_s
    else:
        assert wait_s < query_s - 1.0


def _has(graph: WaitGraph, pid: int) -> WaitGraph | None:
    return graph if pid in graph.waits else None


@pytest.mark.parametrize("major", [each.major for each in installations()])
def test_a_prepared_transaction_is_named_by_its_gid(major: int, start_server: StartServer) -> None:
    started = start_server(major, settings={"max_prepared_transactions": "2"})
    shop = Database("postgres", Server("own", "own", started.dsn(), 0, started))
    shop.execute("CREATE TABLE invoices (id int, status text); INSERT INTO invoices VALUES (1, 'open')")
    update = "UPDATE invoices SET status = 'x' WHERE id = 1"
    with (
        prepared_transaction(shop, "it''s one", update),
        blocked_session(shop.dsn(), update) as waiter,
        closing(watching.watch(shop.dsn())) as reader,
    ):
        graph = read(reader, shop)
        finding = finding_of(graph)
        (ending,) = [step.sql for step in finding.steps if (step.sql or "").startswith("ROLLBACK")]
        chain = only(graph)
        assert (chain.root, chain.waiters) == ("it's one", (waiter.pid,))
        assert (finding.database, ending) == ("postgres", "ROLLBACK PREPARED 'it''s one'")


def test_an_advisory_lock_of_an_idle_session_is_told_as_such(reader: Reader, shop: Database) -> None:
    with (
        shop.connect(application_name="holder") as holder,
        holder.cursor() as cursor,
    ):
        cursor.execute("SELECT pg_advisory_lock(7)")
        with blocked_session(shop.dsn(), "SELECT pg_advisory_lock(7)"):
            graph = read(reader, shop)
    finding = finding_of(graph)
    assert "session-level advisory lock" in finding.evidence.cause
    assert "on advisory " in finding.evidence.blocks[0].text


def test_a_relation_of_another_database_is_named_by_number_until_its_name_is_known(
    each_database: Database, as_role: Callable[..., Reader]
) -> None:
    other = f"{each_database.name}_other"
    each_database.execute(f"CREATE DATABASE {other} TEMPLATE template0")
    try:
        elsewhere = Database(other, each_database.server)
        elsewhere.execute("CREATE TABLE far (id int)")
        oid, database_oid = elsewhere.execute(
            "SELECT 'far'::regclass::oid::int8, oid::int8 FROM pg_database WHERE datname = current_database()"
        )[0]
        with (
            idle_in_transaction(elsewhere.dsn(), "LOCK TABLE far"),
            blocked_session(elsewhere.dsn(), "TABLE far") as waiter,
        ):
            graph = read(as_role("pg_monitor"), elsewhere)
    finally:
        each_database.execute(f"DROP DATABASE {other} WITH (FORCE)")
    wait = graph.waits[waiter.pid]
    assert (wait.relation, wait.relation_oid, wait.database_oid) == (None, oid, database_oid)


def test_a_waiting_parallel_worker_stands_as_its_leader(reader: Reader, shop: Database) -> None:
    """Only the workers wait for the lock; the leader waits for them. People know the leader."""
    shop.execute(
        "CREATE FUNCTION stuck(int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE"
        " AS 'BEGIN PERFORM pg_advisory_lock(9); RETURN 1; END'"
    )
    settings = (
        "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
        "SET parallel_leader_participation = off; SET max_parallel_workers_per_gather = 2"
    )
    with (
        idle_in_transaction(shop.dsn(), "SELECT pg_advisory_lock(9)") as root,
        running(shop.dsn(), "SELECT count(*) FROM invoices WHERE stuck(id) = 1", settings) as leader,
    ):
        graph = poll(lambda: _has(read(reader, shop), leader), message="the leader is seen to wait")
    chain = only(graph)
    assert (chain.root, chain.waiters) == (root.pid, (leader,))
    assert graph.sessions[leader].backend_type == "client backend"
    assert graph.waits[leader].locktype == "advisory"


@contextmanager
def running(dsn: str, statement: str, settings: str) -> Iterator[int]:
    """The pid of a session that runs `statement` in the background; ended at the end."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(settings)
        pid = connection.info.backend_pid
        thread = threading.Thread(target=_ignoring_its_end, args=(connection, statement), daemon=True)
        thread.start()
        yield pid
        with psycopg.connect(dsn, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [pid])
        thread.join(10)
        assert not thread.is_alive()


def _ignoring_its_end(connection: psycopg.Connection[Any], statement: LiteralString) -> None:
    with suppress(psycopg.Error):
        connection.execute(statement)


def test_a_role_without_pg_monitor_says_that_it_is_blind(
    shop: Database, as_role: Callable[..., Reader]
) -> None:
    update = "UPDATE invoices SET status = 'x' WHERE id = 1"
    with idle_in_transaction(shop.dsn(), update), blocked_session(shop.dsn(), update):
        graph = COLLECTOR.read(as_role())
    assert graph.blind
    assert not graph.blockers


def test_pg_monitor_is_enough_to_see_the_whole_tree(shop: Database, as_role: Callable[..., Reader]) -> None:
    update = "UPDATE invoices SET status = 'x' WHERE id = 1"
    with idle_in_transaction(shop.dsn(), update) as root, blocked_session(shop.dsn(), update):
        chain = only(read(as_role("pg_monitor"), shop))
    assert chain.root == root.pid
    assert chain.root_session is not None
    assert chain.root_session.query == update


def test_the_commands_of_the_steps_run_and_spare_a_reused_pid(reader: Reader, shop: Database) -> None:
    """Each command is run as it stands: the queued DDL is cancelled, the root's connection ends."""
    dsn = shop.dsn()
    with (
        idle_in_transaction(dsn, "SELECT * FROM invoices") as root,
        blocked_session(dsn, "ALTER TABLE invoices ADD COLUMN note text") as ddl,
        blocked_session(dsn, "SELECT count(*) FROM invoices"),
    ):
        commands = [step.sql for step in finding_of(read(reader, shop)).steps if step.sql]
        look, cancel, terminate = commands
        assert len(shop.execute(look)) == 1
        assert shop.execute(cancel.replace("+00:00", "+00:01")) == []  # another session's backend_start
        assert shop.execute(cancel) == [(True,)]
        poll(lambda: ddl.error, message="the DDL was cancelled")
        assert isinstance(ddl.error[0], psycopg.errors.QueryCanceled)
        assert shop.execute(terminate) == [(True,)]
        poll(lambda: _gone(shop, root), message="the root's connection ended")


def _gone(database: Database, session: StagedSession) -> bool:
    rows: list[tuple[Any, ...]] = database.execute(
        "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND backend_start = %s",
        [session.pid, session.backend_start],
    )
    return not rows
