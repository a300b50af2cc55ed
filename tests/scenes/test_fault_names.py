"""Name servers that are slow, mute or wrong, and a name that moves to another server."""

from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import Api, running_daemon
from tests.support.names import NameServer, Says, name_server
from tests.support.polling import poll
from tests.support.proxy import proxied
from tests.support.servers import StartServer

HEAD = """
[collectors.availability]
interval = "1s"

[collectors.constraints]
interval = "2s"

[rules.target_down]
for = "1s"
"""
TARGET = """
[[targets]]
name = "{name}"
dsn = "host={host} port={port} user=postgres dbname=postgres"
"""
HERE = Says("127.0.0.1")
NAMES = {
    "late": Says("127.0.0.1", after_s=5),  # past our own deadline
    "mute": Says(after_s=None),
    "broken": Says(failed=True),
    "unknown": None,
}


def config(port: int) -> str:
    hosts = {name: f"{name}.db.test" for name in NAMES} | {"well": "127.0.0.1", "named": "named.db.test"}
    return HEAD + "".join(TARGET.format(name=name, host=host, port=port) for name, host in hosts.items())


def say(server: NameServer, names: dict[str, Says | None]) -> None:
    server.names = {f"{name}.db.test": says for name, says in names.items() if says is not None}


def down(daemon: Api) -> dict[str, str]:
    found = daemon.incidents("target_down", "firing")
    return {one["target"]: one["evidence"]["figures"]["Class"] for one in found}


def test_a_name_server_that_fails_is_told_and_costs_only_whom_it_concerns(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Mute, failing, unknown: down as `dns`. An answer past our deadline is used by the next attempt."""
    with name_server(tmp_path) as (names, program):
        say(names, {**NAMES, "named": HERE})
        with running_daemon(tmp_path, config(own_server.port), program=program) as daemon:
            expected = dict.fromkeys(("mute", "broken", "unknown"), "dns")
            poll(lambda: expected.items() <= down(daemon).items(), 30, message="three are down")
            poll(lambda: daemon.target("late")["up"], 30, message="the late answer is used")
            message = daemon.wait_incident("target_down", "firing", target="mute")["evidence"]["figures"]
            assert "mute.db.test could not be resolved: no answer within 3s" in message["Error"]
            for well in ("well", "named"):
                assert daemon.incidents(target=well) == []
                assert [c for c in daemon.target(well)["collectors"] if c["missed_ticks"]] == []
            say(names, dict.fromkeys((*NAMES, "named"), HERE))
            poll(lambda: all(daemon.target(name)["up"] for name in NAMES), 60, message="all are up")
            poll(lambda: not down(daemon), 10)
            assert {one["state"] for one in daemon.incidents()} == {"resolved"}


def started(server: ScratchServer) -> datetime:
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def watches(daemon: Api, server: ScratchServer) -> bool:
    """Whether it is that server that the daemon asks: the API tells when it was started."""
    at = datetime.fromisoformat(daemon.target("shop")["started_at"])
    return abs(at - started(server)) < timedelta(milliseconds=5)


def test_a_name_that_moves_is_followed_though_the_old_server_lives(
    start_server: StartServer, tmp_path: Path
) -> None:
    """A failover by DNS: the connection to the old server is well, and it is the wrong one."""
    old, new = start_server(), start_server()
    with (
        name_server(tmp_path) as (names, program),
        proxied(new.port, address="127.0.0.2", port=old.port),
    ):
        names.names = {"db.test": HERE}
        one = HEAD + TARGET.format(name="shop", host="db.test", port=old.port)
        with running_daemon(tmp_path, one, program=program) as daemon:
            poll(lambda: daemon.target("shop")["up"], 20)
            poll(lambda: watches(daemon, old), 10)
            names.names = {"db.test": Says("127.0.0.2")}
            poll(lambda: watches(daemon, new), 20)
            assert daemon.target("shop")["up"]
            assert [one for one in daemon.incidents() if one["fired_at"]] == []
