"""The role that deploy/grants.sql makes is all that pgvigil needs."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pgvigil.scratch.server import ScratchServer
from pgvigil.sql.grants import Tier, script
from tests.support import servers
from tests.support.daemons import ROOT, InProcessDaemon, RunningDaemon, daemon_in_process, running_daemon
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll
from tests.support.watching import psql

GRANTS = ROOT / "deploy" / "grants.sql"

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}

[collectors.statements]
interval = "1s"

[collectors.constraints]
interval = "2s"

[rules.blocking_chain]
warning = "1s"

[rules.constraint_not_valid]
for = "0s"
"""


def prepare(server: str, shop: str) -> None:
    """A server that has something to see in each view, all of it another role's, and the role of grants.sql."""
    with psycopg.connect(server, autocommit=True) as admin:
        for _ in range(2):  # running it again does no harm
            admin.execute(GRANTS.read_bytes())
        admin.execute("CREATE DATABASE shop")
    with psycopg.connect(shop, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
        admin.execute("CREATE TABLE orders (id int PRIMARY KEY)")
        admin.execute("INSERT INTO orders VALUES (1)")
        admin.execute("ALTER TABLE orders ADD CONSTRAINT positive CHECK (id > 0) NOT VALID")


@pytest.mark.parametrize("major", [each.major for each in servers.installations()], ids="pg{}".format)
def test_every_collector_reads_as_the_role_of_the_grants(
    major: int, start_server: servers.StartServer, tmp_path: Path
) -> None:
    """No failure, no set-up problem, and other roles' sessions and statements are seen."""
    server = start_server(major)
    shop = server.dsn("shop")
    prepare(server.dsn(), shop)
    config = CONFIG.format(dsn=json.dumps(server.dsn(user="pgvigil")))
    with (
        running_daemon(tmp_path, config) as daemon,
        idle_in_transaction(shop, "UPDATE orders SET id = id", application_name="billing"),
        blocked_session(shop, "UPDATE orders SET id = 2"),
    ):
        chain = daemon.wait_incident("blocking_chain", "firing")
        assert "billing" in json.dumps(chain["evidence"])
        assert daemon.wait_incident("constraint_not_valid", "firing")["database"] == "shop"
        with psycopg.connect(shop, autocommit=True) as other:

            def counted() -> float | None:
                other.execute("SELECT count(*) FROM orders")
                return daemon.metric('pgvigil_query_calls_total{database="shop"')

            poll(counted, 20, message="another role's statements are counted", interval_s=0.2)
        target = daemon.target("shop")
        read = {(one["collector"], one["database"]): one for one in target["collectors"]}
        assert {name for name, _ in read} >= {
            "activity",
            "availability",
            "constraints",
            "lock_waits",
            "statements",
        }
        unread = {
            key: one
            for key, one in read.items()
            if one["last_success_at"] is None or one["failure"] is not None
        }
        assert unread == {}
        assert of_the_role(daemon) == []
        assert target["not_covered"] == {}
        assert daemon.events("rule_failed") == []


def test_a_schema_that_is_closed_to_the_role_is_said_with_its_grant(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Where the extension's schema was closed to PUBLIC; said until the grant is given, and only the statements miss."""
    prepare(own_server.dsn(), own_server.dsn("shop"))
    with psycopg.connect(own_server.dsn("shop"), autocommit=True) as admin:
        admin.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        config = CONFIG.format(dsn=json.dumps(own_server.dsn(user="pgvigil")))
        with running_daemon(tmp_path, config) as daemon:
            [problem] = poll(lambda: daemon.target("shop")["problems"], 20)
            assert problem["slug"] == "privilege-missing"
            assert "slow_query, statement_evictions cannot fire" in problem["why"]
            stale = daemon.wait_incident("collector_stale", "firing")
            assert stale["subject"] == "collector statements"
            grant = stale["actions"][0]["sql"]
            assert problem["fix"] == f"{grant};"
            admin.execute(grant)
            daemon.wait_incident("collector_stale", "resolved")
            poll(lambda: daemon.target("shop")["problems"] == [], 20)


@dataclass(frozen=True, slots=True)
class Line:
    """A privilege of the tier: how it is taken away, what that switches off, and what mends it."""

    revoke: str
    slug: str
    off: frozenset[str]  # collectors
    fix: str
    since: int = 13
    not_covered: frozenset[str] = frozenset()  # databases


ROLE = "pgvigil"
LINES = {
    "pg_monitor": Line(
        "REVOKE pg_monitor FROM pgvigil", "not-pg-monitor", frozenset(), "GRANT pg_monitor TO pgvigil"
    ),
    "schema": Line(
        "REVOKE USAGE ON SCHEMA stats FROM PUBLIC, pgvigil",
        "privilege-missing",
        frozenset({"statements"}),
        "GRANT USAGE ON SCHEMA stats TO pgvigil",
    ),
    "function": Line(
        "REVOKE EXECUTE ON FUNCTION stats.pg_stat_statements FROM PUBLIC, pgvigil",
        "privilege-missing",
        frozenset({"statements"}),
        "GRANT EXECUTE ON FUNCTION stats.pg_stat_statements TO pgvigil",
    ),
    "view of the statistics' own statistics": Line(
        "REVOKE SELECT ON stats.pg_stat_statements_info FROM PUBLIC, pgvigil",
        "privilege-missing",
        frozenset({"statements"}),
        "GRANT SELECT ON stats.pg_stat_statements_info TO pgvigil",
        since=14,
    ),
    "its function": Line(
        "REVOKE EXECUTE ON FUNCTION stats.pg_stat_statements_info FROM PUBLIC, pgvigil",
        "privilege-missing",
        frozenset({"statements"}),
        "GRANT EXECUTE ON FUNCTION stats.pg_stat_statements_info TO pgvigil",
        since=14,
    ),
    "a database": Line(
        "REVOKE CONNECT ON DATABASE orders FROM PUBLIC, pgvigil",
        "connect-missing",
        frozenset(),
        "GRANT CONNECT ON DATABASE orders TO pgvigil",
        not_covered=frozenset({"orders"}),
    ),
}
Watching = RunningDaemon | InProcessDaemon
OF_THE_ROLE = {"not-pg-monitor", "privilege-missing", "connect-missing", "connection-limit-small"}


def of_the_role(daemon: Watching) -> list[dict[str, Any]]:
    """The problems that a GRANT mends; settings of the server are another matter."""
    return [one for one in daemon.target("shop")["problems"] if one["slug"] in OF_THE_ROLE]


def said(daemon: Watching) -> int:
    """How often the log told of one of them."""
    return sum(1 for one in daemon.events("setup_problem") if one["slug"] in OF_THE_ROLE)


def in_stats(server: ScratchServer) -> None:
    """The extension in a schema that was closed to PUBLIC, and the role as printed for that database."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE shop")
        admin.execute("CREATE DATABASE orders")
    with psycopg.connect(server.dsn("shop"), autocommit=True) as admin:
        admin.execute("CREATE SCHEMA stats")
        admin.execute("CREATE EXTENSION pg_stat_statements SCHEMA stats")
    psql(server.dsn(), script(Tier.WATCH, ROLE, ["shop"]))


@pytest.mark.parametrize("major", [each.major for each in servers.installations()], ids="pg{}".format)
def test_each_privilege_that_is_missing_switches_off_one_thing_once(
    major: int, start_server: servers.StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other under a running daemon: one problem, one line in the log, all else goes on, and the fix
    as it is shown mends it without a restart.
    """
    monkeypatch.setattr("daemon.target.FOLLOW_S", 2.0)
    server = start_server(major)
    in_stats(server)
    config = CONFIG.format(dsn=json.dumps(server.dsn(user=ROLE)))
    with (
        daemon_in_process(tmp_path, config) as daemon,
        psycopg.connect(server.dsn("shop"), autocommit=True) as admin,
    ):
        poll(lambda: all_read(daemon), 30, message="all is read")
        assert of_the_role(daemon) == []
        for line in LINES.values():
            if major >= line.since:
                taken_and_given_back(line, daemon, admin)
        assert daemon.events("rule_failed") == []


def taken_and_given_back(line: Line, daemon: Watching, admin: psycopg.Connection[Any]) -> None:
    told = said(daemon)
    admin.execute(line.revoke)
    (problem,) = poll(lambda: of_the_role(daemon), 30, message=line.revoke)
    assert (problem["slug"], problem["fix"]) == (line.slug, f"{line.fix};")
    others_go_on(daemon, line.off)
    assert failing(daemon) == line.off
    poll(lambda: {*daemon.target("shop")["not_covered"]} == line.not_covered, 30, message=line.revoke)
    admin.execute(problem["fix"])
    poll(lambda: of_the_role(daemon) == [], 90, message=line.fix)
    poll(lambda: failing(daemon) == frozenset(), 30, message=line.fix)
    poll(lambda: daemon.target("shop")["not_covered"] == {}, 90, message=line.fix)
    assert said(daemon) == told + 1


def collectors(daemon: Watching) -> list[dict[str, Any]]:
    """Those of databases that are not covered left out."""
    target = daemon.target("shop")
    return [one for one in target["collectors"] if one["database"] not in target["not_covered"]]


def failing(daemon: Watching) -> frozenset[str]:
    return frozenset(one["collector"] for one in collectors(daemon) if one["failure"] is not None)


def all_read(daemon: Watching) -> bool:
    read = collectors(daemon)
    wanted = {"activity", "availability", "constraints", "lock_waits", "statements"}
    return {one["collector"] for one in read} >= wanted and all(one["last_success_at"] for one in read)


def others_go_on(daemon: Watching, off: frozenset[str]) -> None:
    """Every other collector that is due within seconds succeeds once more."""
    before = {(one["collector"], one["database"]): one["last_success_at"] for one in collectors(daemon)}
    prompt = {"activity", "availability", "lock_waits", "constraints", "statements"} - off

    def advanced() -> bool:
        return all(
            one["last_success_at"] > before.get((one["collector"], one["database"]), "")
            for one in collectors(daemon)
            if one["collector"] in prompt
        )

    poll(advanced, 30, message=f"all but {sorted(off)} are read on")


@pytest.mark.parametrize("major", [each.major for each in servers.installations()], ids="pg{}".format)
def test_the_printed_sql_makes_the_role_whatever_it_is_called(
    major: int, start_server: servers.StartServer
) -> None:
    """Every tier, twice, in databases with names of all kinds; and the role can do what the tier promises, no more."""
    server = start_server(major)
    names = ("shop", "it's a \"b\\c=d", "dbname=postgres", "new\nline")
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            admin.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    for name in names:
        with psycopg.connect(server.dsn(name), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION amcheck")
            admin.execute('CREATE SCHEMA "Sales"')
            admin.execute('CREATE TABLE "Sales".orders (id int PRIMARY KEY)')
    for tier in Tier:
        for _ in range(2):
            psql(server.dsn(), script(tier, STRANGE, names))
        for name in names:
            assert allowed(server.dsn(name, user=STRANGE), major) == ALLOWED[tier] - (
                {"heap"} if major < 14 else set()
            )


STRANGE = 'wa\'tch "me" $grants$ \\! é'
ALLOWED = {
    Tier.WATCH: set(),
    Tier.PLANS: {"plan"},
    Tier.INTEGRITY: {"plan", "index", "heap"},
}


def allowed(dsn: str, major: int) -> set[str]:
    tried = {
        "plan": 'EXPLAIN SELECT * FROM "Sales".orders',
        "index": "SELECT bt_index_check('\"Sales\".orders_pkey'::regclass)",
        "heap": "SELECT verify_heapam('\"Sales\".orders'::regclass)",
        "write": 'EXPLAIN DELETE FROM "Sales".orders',
        "parent": "SELECT bt_index_parent_check('\"Sales\".orders_pkey'::regclass)",
        "files": "SELECT pg_read_file('PG_VERSION')",
    }
    found = set()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for what, statement in tried.items():
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
                connection.execute(statement)
                found.add(what)
    return found
