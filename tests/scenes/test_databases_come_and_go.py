"""Databases are followed as they come, go and close; what cannot be read is unknown and said, never ok."""

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from daemon.target import Target
from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import InProcessDaemon, daemon_in_process
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.availability]
interval = "1s"

[collectors.constraints]
interval = "1s"

[rules.constraint_not_valid]
for = "0s"
"""
NOT_VALID = """
CREATE TABLE customers (id int PRIMARY KEY);
CREATE TABLE orders (id int PRIMARY KEY, customer int);
ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (customer) REFERENCES customers NOT VALID;
"""


@pytest.fixture(autouse=True)
def followed_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.target.FOLLOW_S", 1.0)


def run(server: ScratchServer, *statements: str, database: str = "postgres") -> None:
    with psycopg.connect(server.dsn(database), autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement)


def make_database(server: ScratchServer, name: str) -> None:
    run(server, f"CREATE DATABASE {name}")
    run(server, NOT_VALID, database=name)


def refuse(server: ScratchServer, database: str) -> None:
    """By a line of pg_hba.conf."""
    rules = server.data / "pg_hba.conf"
    rules.write_text(f"host {database} pgvigil 127.0.0.1/32 reject\n" + rules.read_text())
    server.reload({})


def states(daemon: InProcessDaemon) -> dict[str, str]:
    """The state of the incident in each database."""
    return {i["database"]: i["state"] for i in daemon.incidents("constraint_not_valid")}


def test_what_cannot_be_read_is_unknown_and_what_is_dropped_resolves(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Created, dropped, closed to connections, without the privilege, rejected by pg_hba.conf; while we run or not."""
    run(own_server, "CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")
    for name in ("dropped", "closed", "revoked", "rejected"):
        make_database(own_server, name)
    config = CONFIG.format(dsn=own_server.dsn(user="pgvigil"))
    with daemon_in_process(tmp_path, config) as daemon:
        poll(lambda: list(states(daemon).values()) == ["firing"] * 4, 20)
        make_database(own_server, "created")
        refuse(own_server, "rejected")
        run(
            own_server,
            "DROP DATABASE dropped WITH (FORCE)",
            "ALTER DATABASE closed ALLOW_CONNECTIONS false",
            "REVOKE CONNECT ON DATABASE revoked FROM PUBLIC",
        )
        expected = {
            "created": "firing",
            "dropped": "resolved",
            "closed": "unknown",
            "revoked": "unknown",
            "rejected": "unknown",
        }
        poll(lambda: states(daemon) == expected, 20, message=f"{expected}: {states(daemon)}")

        def told(database: str) -> str:
            (reason,) = (i["reason"] for i in daemon.incidents() if i["database"] == database)
            return str(reason)

        assert "dropped" in told("dropped")
        # Should a reading have been refused before the list was read, the reason follows with the next refresh.
        poll(lambda: "CONNECT" in told("revoked"), 60, message="what is missing is told")
        shop = daemon.target("shop")
        assert shop["databases"] == ["created", "postgres"]
        assert set(shop["not_covered"]) == {"closed", "revoked", "rejected"}
        assert daemon.metric('pgvigil_databases_not_covered{target="shop"}') == 3
        assert daemon.collector("shop", "constraints", "dropped") is None
        assert shop["up"] is True
        run(own_server, "ALTER DATABASE closed ALLOW_CONNECTIONS true")
        poll(lambda: states(daemon)["closed"] == "firing", 20)
    run(own_server, "DROP DATABASE created WITH (FORCE)")
    with daemon_in_process(tmp_path, config) as daemon:
        poll(lambda: states(daemon)["created"] == "resolved", 20)
        assert states(daemon)["revoked"] == "unknown"


def test_one_that_is_gone_leaves_nothing_behind(
    own_server: ScratchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server for tests makes a thousand of them a day."""
    targets: list[Target] = []
    monkeypatch.setattr("daemon.target.FRESHNESS_S", 1.0)
    monkeypatch.setattr(
        "daemon.fleet.Target", lambda *args, **more: targets.append(Target(*args, **more)) or targets[0]
    )
    with daemon_in_process(tmp_path, CONFIG.format(dsn=own_server.dsn())) as daemon:
        make_database(own_server, "ci")
        (target,) = targets
        poll(lambda: ("constraints", "ci") in target._tried, 20)
        for lane in target.lanes:
            lane.missed["constraints ci"] += 1
        run(own_server, "DROP DATABASE ci WITH (FORCE)")
        poll(lambda: "ci" not in daemon.target("shop")["databases"], 20)
        poll(lambda: "ci" not in {database for _, database in target._tried}, 20)
        assert ("constraints", "postgres") in target._tried
        assert [key for lane in target.lanes[1:] for key in lane.missed if "ci" in key] == []


HOMES = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.availability]
interval = "1s"

[collectors.statements]
interval = "1s"

[collectors.constraints]
enabled = false
"""


class Homes:
    """A daemon whose statements must be looked for."""

    def __init__(self, server: ScratchServer, daemon: InProcessDaemon) -> None:
        self._server = server
        self._daemon = daemon

    def read_since_now(self) -> None:
        """Until the statistics were read again, with no problem left."""
        since = datetime.now(UTC)

        def read() -> bool:
            collector = self._daemon.collector("shop", "statements")
            stamp = collector and collector["last_success_at"]
            return bool(stamp) and datetime.fromisoformat(stamp) > since and not self.problems()

        poll(read, 20, message="statements are read")

    def missing(self) -> None:
        poll(lambda: "extension-missing" in self.problems(), 20, message=f"missing: {self.problems()}")

    def problems(self) -> list[str]:
        return [problem["slug"] for problem in self._daemon.target("shop")["problems"]]

    def said(self) -> list[str]:
        said = [event["slug"] for event in self._daemon.events("setup_problem") if event.get("target")]
        return [slug for slug in said if slug == "extension-missing"]

    def leave(self) -> None:
        """Our connections are cut, as by a restart of the pooler between."""
        run(
            self._server,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pgvigil'",
        )


def test_statements_are_read_in_whichever_database_has_them(
    own_server: ScratchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extension is created later, moves to another database, which then closes, opens and is dropped."""
    monkeypatch.setattr("daemon.target.LOOK_S", 1.0)
    run(own_server, "CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor", "CREATE DATABASE app")
    with daemon_in_process(tmp_path, HOMES.format(dsn=own_server.dsn(user="pgvigil"))) as daemon:
        homes = Homes(own_server, daemon)
        homes.missing()
        run(own_server, "CREATE EXTENSION pg_stat_statements")
        homes.read_since_now()
        run(own_server, "CREATE EXTENSION pg_stat_statements", database="app")
        run(own_server, "DROP EXTENSION pg_stat_statements")
        homes.read_since_now()
        assert [event["database"] for event in daemon.events("home_database")] == ["app"]
        assert homes.said() == ["extension-missing"]
        run(own_server, "REVOKE CONNECT ON DATABASE app FROM PUBLIC")
        homes.leave()
        homes.missing()
        run(own_server, "GRANT CONNECT ON DATABASE app TO PUBLIC")
        homes.read_since_now()
        run(own_server, "DROP DATABASE app WITH (FORCE)")
        homes.missing()
        assert len(homes.said()) == 3
        assert daemon.target("shop")["up"] is True
        assert daemon.events("target_unreachable") == []


def test_a_database_that_the_patterns_leave_out_by_now_is_let_go(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Its incidents end at the next start: nobody would ever judge them again."""
    make_database(own_server, "app")
    config = CONFIG.format(dsn=own_server.dsn())
    with daemon_in_process(tmp_path, config) as daemon:
        daemon.wait_incident("constraint_not_valid", "firing")
    narrower = config.replace(
        "[collectors.availability]", 'databases = ["postgres"]\n[collectors.availability]'
    )
    with daemon_in_process(tmp_path, narrower) as daemon:
        ended = daemon.wait_incident("constraint_not_valid", "resolved")
        assert "no longer watched" in ended["reason"]


def test_a_role_with_two_connections_reads_every_database(own_server: ScratchServer, tmp_path: Path) -> None:
    """The budget is held at every moment: one connection of a lane has gone before its next one comes."""
    run(own_server, "CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor CONNECTION LIMIT 2")
    names = [f"app{number}" for number in range(40)]
    for name in names:
        run(own_server, f"CREATE DATABASE {name}")
    with daemon_in_process(tmp_path, CONFIG.format(dsn=own_server.dsn(user="pgvigil"))) as daemon:
        poll(lambda: {*names} <= read_databases(daemon), 60, message="all databases are read")
        assert 'reason="too_many_connections"' not in daemon.get("/metrics")[1]
        assert daemon.target("shop")["not_covered"] == {}


def read_databases(daemon: InProcessDaemon) -> set[str]:
    collectors = daemon.target("shop")["collectors"]
    return {one["database"] for one in collectors if one["last_success_at"] and one["database"]}


def test_a_table_that_was_renamed_is_told_under_its_new_name(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Names are remembered, and looked up again each time that the databases are visited."""
    make_database(own_server, "app")
    config = CONFIG.format(dsn=own_server.dsn()) + QUICK_LOCKS
    with daemon_in_process(tmp_path, config) as daemon:
        assert "public.orders" in held_up(own_server, daemon, "orders")
        run(own_server, "ALTER TABLE orders RENAME TO sales", database="app")
        assert "public.sales" in held_up(own_server, daemon, "sales")


QUICK_LOCKS = """
[collectors.lock_waits]
interval = "1s"

[rules.blocking_chain]
warning = "1s"
keep_firing_for = "0s"
"""


def held_up(server: ScratchServer, daemon: InProcessDaemon, table: str) -> str:
    """What the tree of waits says once it has a name for the table."""

    def named() -> str:
        trees = [
            block["text"]
            for one in daemon.incidents("blocking_chain", "firing")
            for block in one["evidence"]["blocks"]
        ]
        return "".join(tree for tree in trees if f"public.{table}" in tree)

    with (
        idle_in_transaction(server.dsn("app"), f"LOCK TABLE {table}"),
        blocked_session(server.dsn("app"), f"SELECT FROM {table}"),
    ):
        return poll(named, 15, message=f"{table} is named")


def test_every_way_in_which_a_database_is_no_database(own_server: ScratchServer, tmp_path: Path) -> None:
    """A template and back, renamed, half dropped, no connections allowed, and names that look like patterns."""
    run(own_server, "CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")
    for name in ("stencil", "before", "half", "shut", '"odd[1]*"'):
        run(own_server, f"CREATE DATABASE {name}")
        run(own_server, NOT_VALID, database=name.strip('"'))
    config = CONFIG.format(dsn=own_server.dsn(user="pgvigil"))
    patterns = 'databases = ["[a-z]*"]\nexclude_databases = ["post*"]\n[collectors.availability]'
    config = config.replace("[collectors.availability]", patterns)
    with daemon_in_process(tmp_path, config) as daemon:
        poll(lambda: list(states(daemon).values()) == ["firing"] * 5, 20)
        run(
            own_server,
            "ALTER DATABASE stencil IS_TEMPLATE true",
            "ALTER DATABASE shut CONNECTION LIMIT 0",
            "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'",  # as an interrupted DROP leaves it
        )
        rename(own_server, "before", "after")
        expected = {
            "stencil": "resolved",
            "before": "resolved",
            "after": "firing",
            "half": "unknown",
            "shut": "unknown",
            "odd[1]*": "firing",
        }
        poll(lambda: states(daemon) == expected, 20, message=f"{expected}: {states(daemon)}")
        reasons = {i["database"]: i["reason"] for i in daemon.incidents()}
        assert reasons["before"] == "the database was renamed to after"
        shop = daemon.target("shop")
        assert shop["databases"] == ["after", "odd[1]*"]
        assert {name: why.partition(":")[0] for name, why in shop["not_covered"].items()} == {
            "half": "it is what an interrupted DROP DATABASE left",
            "shut": "its CONNECTION LIMIT is 0",
        }
        run(own_server, "ALTER DATABASE stencil IS_TEMPLATE false", "ALTER DATABASE shut CONNECTION LIMIT -1")
        poll(lambda: states(daemon)["stencil"] == states(daemon)["shut"] == "firing", 20)
        run(own_server, "DROP DATABASE half")
        poll(lambda: states(daemon)["half"] == "resolved", 20)
        assert daemon.incidents("collector_stale") == []


def rename(server: ScratchServer, old: str, new: str) -> None:
    """Again until nobody is connected: our own visits come and go."""

    def renamed() -> bool:
        try:
            run(server, f"ALTER DATABASE {old} RENAME TO {new}")
        except psycopg.errors.ObjectInUse:
            return False
        return True

    poll(renamed, 20)
