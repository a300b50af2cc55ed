"""A service manager hears of pgvigil's start, life and end, and nothing more as soon as one loop stands still."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.managers import Manager, service_manager
from tests.support.network import closed_port
from tests.support.polling import poll
from tests.support.stuck_daemon import LIMIT_S

WATCHDOG_S = 2.0
TARGET = '[[targets]]\nname = "shop"\ndsn = {dsn}\n'
PING = "WATCHDOG=1"
NOWHERE = TARGET.format(dsn=json.dumps(f"host=127.0.0.1 port={closed_port()}"))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with service_manager(tmp_path) as manager:
        yield manager


def asked(manager: Manager) -> dict[str, str]:
    """The environment of a service with a watchdog."""
    return {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6))}


def pings_for(manager: Manager, seconds: float) -> int:
    """How many come from now on."""
    before, until = manager.count(PING), time.monotonic() + seconds
    poll(lambda: time.monotonic() > until, seconds + 1)
    return manager.count(PING) - before


def test_start_life_and_end_are_told(manager: Manager, tmp_path: Path) -> None:
    """READY=1 when HTTP answers, WATCHDOG=1 in time, a status for people, STOPPING=1 before the end."""
    with running_daemon(tmp_path, NOWHERE, asked(manager)) as daemon:
        manager.wait("READY=1")
        assert daemon.get("/healthz")[0] == 200
        manager.wait("STATUS=1 target, 1 of them does not answer; 0 open incidents")
        manager.wait(PING, times=6)
        assert "STOPPING=1" not in [text for _, text in manager.told()]
        assert daemon.stop() == 0
    manager.wait("STOPPING=1")
    stamps = [stamp for stamp, text in manager.told() if text == PING]
    assert manager.count("READY=1") == 1
    assert (stamps[-1] - stamps[0]) / (len(stamps) - 1) <= WATCHDOG_S / 2


def test_without_a_watchdog_there_are_no_pings(manager: Manager, tmp_path: Path) -> None:
    with running_daemon(tmp_path, NOWHERE, {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": ""}) as daemon:
        manager.wait("READY=1")
        assert pings_for(manager, 1.0) == 0
        assert daemon.stop() == 0


def test_a_daemon_that_is_stopped_is_silent(manager: Manager, tmp_path: Path) -> None:
    """And when it goes on it knows that the pause was its own: nothing counts as stuck."""
    with running_daemon(tmp_path, NOWHERE, asked(manager)) as daemon:
        manager.wait(PING, times=2)
        daemon.process.send_signal(signal.SIGSTOP)
        manager.told()
        assert pings_for(manager, 6.0) == 0
        daemon.process.send_signal(signal.SIGCONT)
        manager.wait(PING, times=manager.count(PING) + 3)
        poll(lambda: daemon.events("process_paused"))
        assert daemon.events("loops_stuck") == []
        assert daemon.stop() == 0


def test_a_silent_target_does_not_stop_the_pings(
    own_server: ScratchServer, manager: Manager, tmp_path: Path
) -> None:
    config = TARGET.format(dsn=json.dumps(own_server.dsn()))
    with running_daemon(tmp_path, config, asked(manager)) as daemon:
        poll(lambda: daemon.target("shop")["up"], 20)
        own_server.sigstop()
        try:
            poll(lambda: not daemon.target("shop")["up"], 30)
            manager.wait(PING, times=manager.count(PING) + 4)
            assert daemon.get("/healthz") == (200, "ok\n")
        finally:
            own_server.sigcont()
        assert daemon.events("loops_stuck") == []


STUCK = {
    "lane": "lane shop/server",
    "scheduler": "scheduler",
    "store writer": "store writer",
    "http": "http",
    "outbox": "outbox screen",
}


@pytest.mark.parametrize("part", STUCK)
def test_a_loop_that_stands_still_ends_the_pings(
    part: str, own_server: ScratchServer, manager: Manager, tmp_path: Path
) -> None:
    """The log and the probe name it; and even then SIGTERM is obeyed within ten seconds, with exit code 0."""
    config = TARGET.format(dsn=json.dumps(own_server.dsn())) + '[sinks.screen]\nkind = "console"\n'
    program = ("tests.support.stuck_daemon", part)
    with running_daemon(tmp_path, config, asked(manager), program=program) as daemon:
        poll(lambda: any(STUCK[part] in one["loops"] for one in daemon.events("loops_stuck")), 30)
        manager.told()
        assert pings_for(manager, 2 * WATCHDOG_S) == 0
        assert_unhealthy(daemon, STUCK[part])
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 10
    manager.wait("STOPPING=1")


def assert_unhealthy(daemon: RunningDaemon, name: str) -> None:
    """503 with the name; no answer at all where it is the server that stands still."""
    if name == "http":
        with pytest.raises((TimeoutError, socket.timeout, urllib.error.URLError)):
            urllib.request.urlopen(daemon.url + "/healthz", timeout=LIMIT_S)
    else:
        status, text = daemon.get("/healthz")
        assert (status, name in text.splitlines()) == (503, True)
