"""The daemon runs out of file descriptors: it says so once, blames nobody else, and goes on when there are some."""

import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.polling import poll

TARGETS = [f"shop{number}" for number in range(8)]
HEAD = """
[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[collectors.constraints]
interval = "1s"

[rules.target_down]
for = "1s"
"""
TARGET = """
[[targets]]
name = "{name}"
dsn = "{dsn}"
"""

END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgvigil%'"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="limits of another process are set by prlimit"
)


@contextmanager
def watching(server: ScratchServer, folder: Path) -> Iterator[RunningDaemon]:
    config = HEAD + "".join(TARGET.format(name=name, dsn=server.dsn()) for name in TARGETS)
    with running_daemon(folder, config) as daemon:
        poll(lambda: all(daemon.target(name)["up"] for name in TARGETS), 30)
        yield daemon


def limit(daemon: RunningDaemon, most: int) -> None:
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (most, hard))


def said(daemon: RunningDaemon) -> int:
    problems = [event for event in daemon.events("setup_problem") if event["slug"] == "descriptors-scarce"]
    return len(problems)


def goes_on(daemon: RunningDaemon) -> None:
    """All as before, and the problem is gone from page and metrics."""
    assert daemon.process.poll() is None
    poll(lambda: all(daemon.target(name)["up"] for name in TARGETS), 20)
    poll(lambda: daemon.events("descriptors_suffice"), 20)
    assert daemon.get("/healthz") == (200, "ok\n")
    assert "descriptors-scarce" not in daemon.get("/metrics")[1]
    assert daemon.incidents("target_down") == []
    poll(lambda: not daemon.incidents("collector_stale", "firing"), 20)
    assert daemon.stop() == 0


def test_without_a_descriptor_the_servers_are_not_blamed(own_server: ScratchServer, tmp_path: Path) -> None:
    """None for reading, connecting or looking up: stale for want of resources, and no server is called down."""
    with (
        watching(own_server, tmp_path) as daemon,
        psycopg.connect(own_server.dsn(), autocommit=True) as admin,
    ):
        soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        assert soft == min(hard, 65_536)  # all that the system allows
        limit(daemon, psutil.Process(daemon.process.pid).num_fds() // 2)
        poll(lambda: said(daemon), 20, message="it is said")
        admin.execute(END_ALL)  # every connection has to be made anew, and nobody refuses it
        poll(lambda: daemon.log.read_text().count('"change": "fired"') >= len(TARGETS), 30)
        limit(daemon, 1024)
        told = daemon.incidents("collector_stale")
        assert {one["evidence"]["figures"]["Failure"] for one in told} == {"resources"}, told
        assert all("out of file descriptors" in one["evidence"]["cause"] for one in told)
        assert said(daemon) == 1
        goes_on(daemon)


def test_clients_that_hold_all_descriptors_are_sent_away_for_others(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Eighty clients that never ask anything and come again when sent away; no line of the log for each of them."""
    with watching(own_server, tmp_path) as daemon, ExitStack() as clients:
        limit(daemon, psutil.Process(daemon.process.pid).num_fds() + 6)
        port = int(daemon.url.rpartition(":")[2])
        for _ in range(80):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
        poll(lambda: said(daemon), 20, message="it is said")
        poll(lambda: daemon.events("http_not_accepted"), 20)
        poll(lambda: daemon.get("/healthz")[0] == 200, 30, message="a probe is let in among them")
        assert len(daemon.events("http_not_accepted")) <= 2
        assert daemon.log.stat().st_size < 100_000
        clients.close()
        limit(daemon, 1024)
        goes_on(daemon)
