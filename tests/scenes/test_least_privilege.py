"""The role that deploy/grants.sql makes is all that pgvigil needs."""

import json
from pathlib import Path

import psycopg
import pytest

from pgvigil.scratch.server import ScratchServer
from tests.support import servers
from tests.support.daemons import ROOT, running_daemon
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll

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
        assert {name for name, _ in read} == {
            "activity",
            "availability",
            "constraints",
            "lock_waits",
            "settings",
            "statements",
        }
        unread = {
            key: one
            for key, one in read.items()
            if one["last_success_at"] is None or one["failure"] is not None
        }
        assert unread == {}
        assert target["problems"] == []
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
            problem, blind = poll(lambda: daemon.target("shop")["problems"], 20)
            assert (problem["slug"], blind["slug"]) == ("privilege-missing", "rule-cannot-fire")
            assert "slow_query cannot fire" in blind["sentence"]
            stale = daemon.wait_incident("collector_stale", "firing")
            assert stale["subject"] == "collector statements"
            grant = stale["actions"][0]["sql"]
            assert problem["fix"] == f"{grant};"
            admin.execute(grant)
            daemon.wait_incident("collector_stale", "resolved")
            poll(lambda: daemon.target("shop")["problems"] == [], 20)
