"""More silent targets than workers: the healthy ones do not feel it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import InProcessDaemon, daemon_in_process
from tests.support.network import closed_port, full_listener, silent_listener
from tests.support.polling import poll
from tests.support.servers import StartServer

INTERVAL_S = 5.0  # of availability, on the server lane, and here also of constraints, on the databases lane
LATE_S = 1.0
DEAD_RESOLVER = ".dead-resolver.invalid"

HEALTHY = ("healthy0", "healthy1")
KINDS = {
    ("full", "silent"),
    ("mute", "silent"),
    ("freezing", "silent"),
    ("refused", "refused"),
    ("dns", "dns"),
}

HEAD = """
workers = 2
spare_workers = 8

[collectors.constraints]
interval = "5s"

[rules.target_down]
for = "1s"

[rules.collector_stale]
warning = 2
"""
TARGET = """
[[targets]]
name = "{name}"
dsn = "{dsn}"
"""


@pytest.fixture
def dead_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Questions for hosts of that domain are never answered; the others are."""
    released, ask = threading.Event(), socket.getaddrinfo

    def hang(host: Any, *arguments: Any, **keywords: Any) -> Any:
        if str(host).endswith(DEAD_RESOLVER):
            released.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ask(host, *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield
    released.set()


def config(healthy: ScratchServer, freezing: ScratchServer, listeners: dict[str, int]) -> str:
    """Two healthy targets, eight that will be frozen in the middle of their work, sixteen that never answered."""
    dsns = dict.fromkeys(HEALTHY, healthy.dsn())
    dsns |= {f"freezing{n}": freezing.dsn() for n in range(8)}
    for kind, port in listeners.items():
        dsns |= {f"{kind}{n}": f"host=127.0.0.1 port={port} user=postgres" for n in range(4)}
    dsns |= {f"dns{n}": f"host=db{n}{DEAD_RESOLVER} user=postgres" for n in range(4)}
    return HEAD + "".join(TARGET.format(name=name, dsn=dsn) for name, dsn in dsns.items())


class Watch:
    """When the healthy targets were last asked with success, as the API tells it."""

    def __init__(self, daemon: InProcessDaemon) -> None:
        self._daemon = daemon
        self.successes: dict[tuple[str, str, str | None], list[datetime]] = {
            (target, collector, database): []
            for target in HEALTHY
            for collector, database in (("availability", None), ("constraints", "postgres"))
        }

    def look(self) -> int:
        """How often the one that was read least often was read."""
        for key, successes in self.successes.items():
            collector = self._daemon.collector(*key)
            stamp = collector and collector["last_success_at"]
            if stamp and (not successes or datetime.fromisoformat(stamp) != successes[-1]):
                successes.append(datetime.fromisoformat(stamp))
        return min(map(len, self.successes.values()))

    def longest_interval(self) -> timedelta:
        return max(b - a for seen in self.successes.values() for a, b in pairwise(seen))


def kinds(daemon: InProcessDaemon) -> set[tuple[str, str]]:
    """Each target's name without its number, with the class of its failure."""
    incidents = daemon.incidents("target_down", "firing")
    return {(i["target"].rstrip("0123456789"), i["evidence"]["figures"]["Class"]) for i in incidents}


@pytest.mark.usefixtures("dead_resolver")
def test_healthy_targets_are_on_time_among_silent_ones(start_server: StartServer, tmp_path: Path) -> None:
    """Two workers and eight spare ones, sixteen targets that never answered, eight that freeze at once: no healthy tick is late or lost.

    Measured over more than 20 s. The class of each silent one is told, and nothing else of them.
    """
    healthy, freezing = start_server(), start_server()
    with ExitStack() as stack:
        listeners = {
            "full": stack.enter_context(full_listener()),
            "mute": stack.enter_context(silent_listener()),
            "refused": closed_port(),
        }
        daemon = stack.enter_context(daemon_in_process(tmp_path, config(healthy, freezing, listeners)))
        watch = Watch(daemon)
        poll(lambda: watch.look() >= 2, 25, message="some time among silent targets")
        poll(lambda: all(daemon.target(f"freezing{n}")["up"] for n in range(8)), 30)
        freezing.sigstop()
        poll(lambda: watch.look() >= 5, 30, message="twenty seconds in all")
        assert daemon.get("/healthz")[0] == 200
        poll(lambda: kinds(daemon) == KINDS, 40, message="the class of each")
        freezing.sigcont()
        assert watch.longest_interval() <= timedelta(seconds=INTERVAL_S + LATE_S)
        for target in HEALTHY:
            assert [c for c in daemon.target(target)["collectors"] if c["missed_ticks"]] == []
        assert daemon.incidents("collector_stale") == []
