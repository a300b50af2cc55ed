"""A target that is down says why, and a server that lives is not called down."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.network import closed_port
from tests.support.polling import poll
from tests.support.servers import StartServer

QUICK = """
[collectors.availability]
interval = "1s"

[rules.target_down]
for = "1s"

[rules.connection_saturation]
for = "1s"
keep_firing_for = "1s"
"""
TARGET = """
[[targets]]
name = "{name}"
dsn = "{dsn}"
"""


def classes(daemon: RunningDaemon) -> dict[str, str]:
    """The class of each target that is down, as its incident tells it."""
    down = daemon.incidents("target_down", "firing")
    return {incident["target"]: incident["evidence"]["figures"]["Class"] for incident in down}


def test_the_class_is_named_and_each_resolves_when_its_cause_is_mended(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Refused, unknown host, no TLS, wrong password, not yet accepting; a read-only server is up throughout."""
    server = start_server(password="right", settings={"default_transaction_read_only": "on"})
    starting = start_server(settings={"hot_standby": "off"})
    in_standby = starting.data / "standby.signal"
    in_standby.touch()
    starting.restart()
    password = tmp_path / "password"
    password.write_text("wrong\n")
    here = f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres"
    dsns = {
        "refused": f"host=127.0.0.1 port={closed_port()} user=postgres",
        "dns": "host=no-such-host.invalid user=postgres",
        "tls": f"{server.dsn()} sslmode=require",
        "authentication": here,
        "starting_up": starting.dsn(),
        "read-only": server.dsn(),
    }
    targets = {name: TARGET.format(name=name, dsn=dsn) for name, dsn in dsns.items()}
    targets["authentication"] += f'password_file = "{password}"\n'
    with running_daemon(tmp_path, QUICK + "".join(targets.values())) as daemon:
        causes = {name: name for name in dsns if name != "read-only"}
        poll(lambda: classes(daemon) == causes, 30, message=f"five classes: {classes(daemon)}")
        assert daemon.target("read-only")["up"] is True
        password.write_text("right\n")
        in_standby.unlink()
        starting.restart()
        daemon.wait_incident("target_down", "resolved", target="authentication")
        daemon.wait_incident("target_down", "resolved", target="starting_up")
        assert set(classes(daemon)) == {"refused", "dns", "tls"}
        assert daemon.incidents(target="read-only") == []


def executed(daemon: RunningDaemon) -> float:
    """Calls of all statements together, as the metrics count them."""
    lines = daemon.get("/metrics")[1].splitlines()
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if line.startswith("pgvigil_query_calls_total")
    )


def call(server: ScratchServer, times: int) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for _ in range(times):
            connection.execute("SELECT 'work'")


def test_a_quick_restart_opens_nothing_and_no_count_goes_back(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """A crash and recovery, shorter than `for`: no incident fires, and the counters of statements only grow."""
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
    config = TARGET.format(name="shop", dsn=own_server.dsn())
    config += '[collectors.statements]\ninterval = "1s"\n[collectors.availability]\ninterval = "1s"\n'
    with running_daemon(tmp_path, config) as daemon:
        poll(lambda: executed(daemon) > 0, 20)
        call(own_server, 50)
        before = poll(lambda: (now := executed(daemon)) >= 50 and now, 20)
        started = daemon.target("shop")["started_at"]
        own_server.kill9()
        own_server.start_again()
        poll(lambda: daemon.target("shop")["up"] and daemon.target("shop")["started_at"] != started, 20)
        call(own_server, 50)
        poll(lambda: executed(daemon) >= before + 50, 20, message="what ran after the restart is counted")
        assert [incident for incident in daemon.incidents() if incident["fired_at"]] == []


def fill(server: ScratchServer, stack: ExitStack) -> None:
    """Take every slot that an ordinary role can get."""
    try:
        while True:
            stack.enter_context(psycopg.connect(server.dsn(user="app")))
    except psycopg.OperationalError as error:
        assert "slots" in str(error) or "too many" in str(error)  # noqa: PT017 - filling ends by this error


def states(daemon: RunningDaemon) -> dict[str, Any]:
    return {incident["rule"]: incident["state"] for incident in daemon.incidents()}


def test_a_full_server_is_saturated_and_not_down(start_server: StartServer, tmp_path: Path) -> None:
    """Critical at once; resolves with free slots. When a server that was down comes back full, it says so."""
    server = start_server(settings={"max_connections": "8"})
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE ROLE app LOGIN")
        admin.execute("CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")
        with ExitStack() as clients:
            fill(server, clients)
            config = QUICK + TARGET.format(name="shop", dsn=server.dsn(user="pgvigil"))
            daemon = clients.enter_context(running_daemon(tmp_path, config))
            full = daemon.wait_incident("connection_saturation", "firing")
            assert full["severity"] == "critical"
            assert daemon.target("shop")["failure"]["kind"] == "too_many_connections"
            assert daemon.target("shop")["up"] is False
            assert daemon.incidents("target_down") == []
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
            daemon.wait_incident("connection_saturation", "resolved")
            admin.execute("ALTER ROLE pgvigil CONNECTION LIMIT 0")
            admin.close()
            server.stop()
            daemon.wait_incident("target_down", "firing")
            server.start_again()
            daemon.wait_incident("connection_saturation", "firing")
            assert daemon.incidents("target_down", "unknown")
            with psycopg.connect(server.dsn(), autocommit=True) as later:
                later.execute("ALTER ROLE pgvigil CONNECTION LIMIT -1")
            daemon.wait_incident("target_down", "resolved")
            daemon.wait_incident("connection_saturation", "resolved")
