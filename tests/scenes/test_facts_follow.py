"""What is known of a server is known of the server as it is: versions, privileges, and which role it plays."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import Api, daemon_in_process, running_daemon
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import StartServer

QUICK = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[collectors.statements]
interval = "1s"

[rules.idle_in_transaction]
warning = "1s"

[rules.target_down]
for = "1s"

[collectors.lock_waits]
interval = "1s"

[rules.blocking_chain]
warning = "1s"
keep_firing_for = "0s"
"""


def run(server: ScratchServer, *statements: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement)


def read_again(daemon: Api, collector: str) -> None:
    """Until the collector has succeeded once more."""
    since = datetime.now(UTC)

    def read() -> bool:
        found = daemon.collector("shop", collector)
        stamp = found and found["last_success_at"]
        return bool(stamp) and datetime.fromisoformat(stamp) > since

    poll(read, 20, message=f"{collector} is read")


def errors(daemon: Api, reason: str) -> float:
    """How often statements could not be read for that reason."""
    labels = f'collector="statements",database="",reason="{reason}",target="shop"'
    return daemon.metric(f"pgvigil_collector_errors_total{{{labels}}}") or 0.0


def test_an_extension_that_is_updated_is_read_with_its_new_columns(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Version 1.8 renames a column: one reading fails, the facts are asked for again, and reading goes on."""
    run(own_server, "CREATE EXTENSION pg_stat_statements VERSION '1.7'")
    with running_daemon(tmp_path, QUICK.format(dsn=own_server.dsn())) as daemon:
        read_again(daemon, "statements")
        run(own_server, "ALTER EXTENSION pg_stat_statements UPDATE")
        poll(lambda: errors(daemon, "undefined") == 1, 20)
        read_again(daemon, "statements")
        read_again(daemon, "statements")
        assert errors(daemon, "undefined") == 1
        assert daemon.target("shop")["up"] is True


def test_a_role_that_loses_its_privilege_does_not_say_that_all_is_well(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Hidden sessions make their incidents unknown; the problem is said once, however often we connect."""
    reconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pgvigil'"
    run(own_server, "CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")
    with (
        daemon_in_process(tmp_path, QUICK.format(dsn=own_server.dsn(user="pgvigil"))) as daemon,
        idle_in_transaction(own_server.dsn(), "SELECT 1"),
    ):
        daemon.wait_incident("idle_in_transaction", "firing")
        run(own_server, "REVOKE pg_monitor FROM pgvigil", reconnect)
        unknown = daemon.wait_incident("idle_in_transaction", "unknown")
        assert "hidden" in unknown["reason"]
        run(own_server, reconnect)
        read_again(daemon, "activity")
        problems = [problem["slug"] for problem in daemon.target("shop")["problems"]]
        assert "not-pg-monitor" in problems
        said = [event["slug"] for event in daemon.events("setup_problem")]
        assert said.count("not-pg-monitor") == 1
        run(own_server, "GRANT pg_monitor TO pgvigil", reconnect)
        daemon.wait_incident("idle_in_transaction", "firing")
        problems = [problem["slug"] for problem in daemon.target("shop")["problems"]]
        assert "not-pg-monitor" not in problems


def test_a_privilege_that_changes_on_a_living_connection_is_noticed(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Sessions that are hidden all at once have not stopped waiting; the grant works without a restart."""
    run(own_server, "CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor", "CREATE TABLE orders (id int)")
    with (
        daemon_in_process(tmp_path, QUICK.format(dsn=own_server.dsn(user="pgvigil"))) as daemon,
        idle_in_transaction(own_server.dsn(), "LOCK TABLE orders"),
        blocked_session(own_server.dsn(), "SELECT FROM orders"),
    ):
        daemon.wait_incident("blocking_chain", "firing")
        run(own_server, "REVOKE pg_monitor FROM pgvigil")
        daemon.wait_incident("blocking_chain", "unknown")
        poll(lambda: "not-pg-monitor" in problems(daemon), 10)
        run(own_server, "GRANT pg_monitor TO pgvigil")
        daemon.wait_incident("blocking_chain", "firing")
        assert "not-pg-monitor" not in problems(daemon)
        assert [one["state"] for one in daemon.incidents("blocking_chain")] == ["firing"]


def problems(daemon: Api) -> list[str]:
    return [problem["slug"] for problem in daemon.target("shop")["problems"]]


def make_standby(primary: ScratchServer, standby: ScratchServer) -> None:
    """`standby` becomes a copy of `primary` that waits for WAL; both run again."""
    configuration = (standby.data / "postgresql.conf").read_bytes()
    primary.stop()
    standby.stop()
    subprocess.run(["rm", "-r", standby.data], check=True)
    subprocess.run(["cp", "-a", primary.data, standby.data], check=True)  # owners too
    (standby.data / "postgresql.conf").write_bytes(configuration)
    (standby.data / "standby.signal").touch()
    primary.start_again()
    standby.start_again()


def test_a_failover_is_followed_to_the_promoted_standby(start_server: StartServer, tmp_path: Path) -> None:
    """The DSN names both and wants the primary. The standby itself is up before, during and after."""
    primary, standby = start_server(), start_server()
    run(primary, "CREATE EXTENSION pg_stat_statements")
    make_standby(primary, standby)
    both = "host=127.0.0.1,127.0.0.1 port={},{} user=postgres target_session_attrs=read-write"
    config = QUICK.format(dsn=both.format(primary.port, standby.port))
    config += f'[[targets]]\nname = "replica"\ndsn = "{standby.dsn()}"\n'
    with running_daemon(tmp_path, config) as daemon:
        read_again(daemon, "statements")
        assert daemon.target("shop")["in_recovery"] is False
        assert poll(lambda: daemon.target("replica"), 20)["in_recovery"] is True
        primary.stop()
        daemon.wait_incident("target_down", "firing")
        run(standby, "SELECT pg_promote()")
        daemon.wait_incident("target_down", "resolved")
        read_again(daemon, "statements")
        poll(lambda: daemon.target("replica")["in_recovery"] is False, 20, message="the promotion is seen")
        assert daemon.metric('pgvigil_target_info{role="primary",target="replica"') == 1
        assert daemon.incidents(target="replica") == []
