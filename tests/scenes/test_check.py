"""One look at real servers: well, in trouble, half blind, gone, and frozen in the middle."""

import contextlib
import json
import threading
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from daemon.checking.passes import Pass
from daemon.cli import codes
from daemon.cli.check import code
from daemon.settings import load
from pgvigil.model.level import Level
from pgvigil.postgres.limits import Limits
from pgvigil.scratch.server import ScratchServer
from tests.support.checks import Checks
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.servers import Database, fresh_database

IDLE = '[rules.idle_in_transaction]\nwarning = "1ms"\nclear = "1ms"\n'
CHAIN = '[rules.blocking_chain]\nwarning = "1ms"\ncritical = "1ms"\n'


def quietly() -> None:
    """Between the readings nothing happens."""


@pytest.fixture
def checks(tmp_path: Path) -> Checks:
    return Checks(tmp_path)


@pytest.fixture
def shop(database: Database) -> Database:
    database.execute("CREATE EXTENSION pg_stat_statements")
    database.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    database.execute("INSERT INTO orders VALUES (1, 'new')")
    return database


def test_a_healthy_server_is_ok_and_everything_was_covered(checks: Checks, shop: Database) -> None:
    ran = checks.run(checks.write(shop.dsn(), shop.name), "--sample", "1s")
    assert (ran.returncode, ran.stdout, ran.stderr) == (codes.OK, "shop: ok\n", "")


def test_what_needs_two_readings_is_said_to_be_left_out(checks: Checks, shop: Database) -> None:
    ran = checks.run(checks.write(shop.dsn(), shop.name), "--sample", "0s")
    assert ran.returncode == codes.OK
    assert "left out: statements: skipped" in ran.stdout


def test_an_idle_transaction_is_a_warning(checks: Checks, shop: Database) -> None:
    with idle_in_transaction(shop.dsn(), "SELECT 1") as idle:
        checked = checks.look(checks.write(shop.dsn(), shop.name, more=IDLE))
    assert code([checked]) == codes.WARNING
    (found,) = [each for each in checked.findings if each.database == shop.name]
    assert str(idle.pid) in found.summary


def test_a_pile_up_is_one_finding_with_its_root_explained_under_it(checks: Checks, shop: Database) -> None:
    """As JSON, with the relation named although the server's own connection is to another database."""
    file = checks.write(shop.server.dsn("postgres"), shop.name, more=IDLE + CHAIN)
    with (
        idle_in_transaction(shop.dsn(), "UPDATE orders SET status = 'paid'") as root,
        blocked_session(shop.dsn(), "ALTER TABLE orders ADD COLUMN note text"),
        blocked_session(shop.dsn(), "SELECT count(*) FROM orders"),
    ):
        ran = checks.run(file, "--sample", "0s", "--json")
    assert ran.returncode == codes.CRITICAL
    (target,) = json.loads(ran.stdout)["targets"]
    assert (target["name"], target["up"]) == ("shop", True)
    chain, idle = [each for each in target["findings"] if each["database"] == shop.name]
    assert (chain["rule"], chain["explained_by"]) == ("blocking_chain", None)
    assert idle["explained_by"]["subject"] == chain["subject"]
    assert str(root.pid) in idle["summary"]
    assert "public.orders" in chain["evidence"]["blocks"][0]["text"]


def test_a_statement_that_was_slow_between_the_readings_is_found_with_its_text(
    checks: Checks, shop: Database
) -> None:
    def slow() -> None:
        with shop.connect() as connection:
            for _ in range(5):
                connection.execute("SELECT pg_sleep(0.06), 'secret'")

    more = '[rules.slow_query]\nwarning = "50ms"\nclear = "10ms"\nmin_share = 1\n'
    checked = checks.look(checks.write(shop.dsn(), shop.name, more=more), between=slow)
    (found,) = [each for each in checked.findings if each.database == shop.name]
    assert (found.rule, found.level) == ("slow_query", Level.WARNING)
    assert "SELECT pg_sleep($1), $2" in found.summary


def test_a_database_that_may_not_be_read_is_said(checks: Checks, shop: Database) -> None:
    """No CONNECT: not covered by name, and not ok."""
    role = f"r_{shop.name}"
    with (
        shop.server.connect() as admin,
        contextlib.ExitStack() as undo,
        fresh_database(shop.server) as secret,
    ):
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE pg_monitor").format(sql.Identifier(role)))
        undo.callback(admin.execute, sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
        revoke = sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC")
        admin.execute(revoke.format(sql.Identifier(secret.name)))
        ran = checks.run(
            checks.write(shop.dsn(user=role), shop.name, secret.name), "--sample", "0s", "--target", "shop"
        )
    assert ran.returncode == codes.UNKNOWN
    assert f"not covered: everything in database {secret.name}: the role lacks CONNECT" in ran.stdout


def test_the_extension_is_used_where_it_is(checks: Checks, database: Database) -> None:
    """Not in the database of the DSN but in another one; without any, that is said with the fix."""
    with fresh_database(database.server) as other:
        file = checks.write(database.dsn(), database.name, other.name)
        missing = checks.look(file, between=quietly)
        other.execute("CREATE EXTENSION pg_stat_statements")
        found = checks.look(file, between=quietly)
    assert code([missing]) == codes.UNKNOWN
    assert [problem.slug for problem in missing.problems] == ["extension-missing"]
    assert [each.collector for each in missing.not_covered] == ["statements"]
    assert (found.problems, found.not_covered) == ((), ())


def test_a_role_without_pg_monitor_cannot_give_the_all_clear(checks: Checks, shop: Database) -> None:
    role = f"r_{shop.name}"
    with shop.server.connect() as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        try:
            with idle_in_transaction(shop.dsn(), "SELECT 1"):
                checked = checks.look(checks.write(shop.dsn(user=role), shop.name, more=IDLE))
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert code([checked]) == codes.UNKNOWN
    assert [problem.slug for problem in checked.problems] == ["not-pg-monitor"]
    assert "idle_in_transaction" in {each.rule for each in checked.not_covered}


def test_a_server_that_is_stopped_is_critical(checks: Checks, own_server: ScratchServer) -> None:
    file = checks.write(own_server.dsn())
    own_server.stop()
    ran = checks.run(file)
    assert ran.returncode == codes.CRITICAL
    assert "CRITICAL target_down: No query is answered: connection refused" in ran.stdout
    assert "not covered: everything" in ran.stdout


def test_a_server_that_freezes_between_the_readings_is_down(
    checks: Checks, own_server: ScratchServer
) -> None:
    """Only our own deadlines end the wait; what was seen before is not told as if it were seen now."""
    limits = Limits(statement_s=0.5, margin_s=0.5, connect_s=0.5, connect_total_s=1.0)
    file = checks.write(own_server.dsn(), more=IDLE)
    with psycopg.connect(own_server.dsn()) as idle:
        idle.execute("SELECT 1")
        try:
            checked = checks.look(file, between=own_server.sigstop, limits=limits)
        finally:
            own_server.sigcont()
    assert [each.rule for each in checked.findings] == ["target_down"]
    assert checked.up is False
    assert [(each.database, each.collector) for each in checked.not_covered] == [(None, None)]
    assert code([checked]) == codes.CRITICAL


def test_a_connection_that_is_ended_is_made_anew(checks: Checks, own_server: ScratchServer) -> None:
    """An administrator ends our session between the readings: the server is not down, nothing is missed."""
    with psycopg.connect(own_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")

        def end() -> None:
            ended = admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'pgvigil'"
            ).fetchall()
            assert ended == [(True,)]

        checked = checks.look(checks.write(own_server.dsn()), between=end)
    assert (checked.up, checked.findings, checked.not_covered) == (True, (), ())


def test_a_server_without_a_free_slot_is_full_not_down(checks: Checks, own_server: ScratchServer) -> None:
    with psycopg.connect(own_server.dsn(), autocommit=True) as admin, contextlib.ExitStack() as undo:
        watcher = own_server.dsn(user="watcher")
        admin.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        while True:
            try:
                undo.enter_context(contextlib.closing(psycopg.connect(watcher)))
            except psycopg.OperationalError:
                break
        checked = checks.look(checks.write(watcher))
    assert [(each.rule, each.level) for each in checked.findings] == [
        ("connection_saturation", Level.CRITICAL)
    ]
    assert [(each.database, each.collector) for each in checked.not_covered] == [(None, None)]


def test_a_view_that_may_not_be_read_is_a_problem_with_a_name(checks: Checks, shop: Database) -> None:
    """The other collectors go on."""
    role = f"r_{shop.name}"
    shop.execute("REVOKE EXECUTE ON FUNCTION pg_stat_statements FROM PUBLIC")
    with shop.server.connect() as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE pg_monitor").format(sql.Identifier(role)))
        try:
            checked = checks.look(checks.write(shop.dsn(user=role), shop.name), between=quietly)
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert code([checked]) == codes.UNKNOWN
    assert [each.collector for each in checked.not_covered] == ["statements"]
    (problem,) = checked.problems
    assert problem.slug == "privilege-missing"
    assert "permission denied for function pg_stat_statements" in problem.sentence


def test_targets_are_looked_at_side_by_side(checks: Checks, shop: Database) -> None:
    """Each waits between its readings until the other does too; the one that is down holds up neither."""
    more = "".join(
        f'[[targets]]\nname = "{name}"\ndsn = {json.dumps(dsn)}\ndatabases = ["{shop.name}"]\n'
        for name, dsn in (("gone", "host=127.0.0.1 port=1"), ("twin", shop.dsn()))
    )
    settings = load(checks.write(shop.dsn(), shop.name, more=more), {})
    both = threading.Barrier(2)
    results = Pass(settings, sample_s=10.0, wait=lambda _s: both.wait(30)).over(settings.targets)
    assert [(each.name, each.up, code([each])) for each in results] == [
        ("shop", True, codes.OK),
        ("gone", False, codes.CRITICAL),
        ("twin", True, codes.OK),
    ]
