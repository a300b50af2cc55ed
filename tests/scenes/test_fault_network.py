"""A network that misbehaves between pgvigil and its servers: each fault is told, and its neighbours feel nothing."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pgvigil.postgres.limits import Limits
from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import Api, InProcessDaemon, daemon_in_process
from tests.support.polling import poll
from tests.support.proxy import Proxy, Then, Toxic, proxied

QUICK = Limits(connect_s=1.5, connect_total_s=1.5, statement_s=1.5, margin_s=0.5)
HEAD = """
[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[rules.target_down]
for = "2s"
"""
TARGET = """
[[targets]]
name = "{name}"
dsn = "host=127.0.0.1 port={port} user=postgres dbname=postgres"
"""
HTML = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<h1>Not here</h1>"

# A server answers our request for TLS with one byte, "N", and what we say next with AuthenticationOk (9 bytes) and more.
CONNECTING: Mapping[str, Toxic] = {
    "stalls at once": Toxic(then=Then.STALL),
    "stalls before authentication": Toxic(after=1, then=Then.STALL),
    "stalls in authentication": Toxic(after=5, then=Then.STALL),
    "stalls before it is ready": Toxic(after=60, then=Then.STALL),
    "resets at once": Toxic(then=Then.RESET),
    "resets before authentication": Toxic(after=1, then=Then.RESET),
    "resets in authentication": Toxic(after=5, then=Then.RESET),
    "ends in authentication": Toxic(after=5, then=Then.FINISH),
    "ends before it is ready": Toxic(after=60, then=Then.FINISH),
    "is no server": Toxic(then=Then.GARBAGE, garbage=HTML),
    "talks nonsense in authentication": Toxic(after=1, then=Then.GARBAGE, garbage=HTML),
    "talks nonsense later": Toxic(after=60, then=Then.GARBAGE, garbage=b"\xff" * 64),
    "trickles": Toxic(bytes_per_s=20),
}
READING: Mapping[str, Toxic] = {
    "stalls at once": Toxic(then=Then.STALL),
    "stalls within": Toxic(after=20, then=Then.STALL),
    "resets at once": Toxic(then=Then.RESET),
    "resets within": Toxic(after=20, then=Then.RESET),
    "ends within": Toxic(after=20, then=Then.FINISH),
    "talks nonsense": Toxic(then=Then.GARBAGE, garbage=HTML),
    "talks nonsense within": Toxic(after=20, then=Then.GARBAGE, garbage=b"\xff" * 64),
    "promises a gigabyte": Toxic(then=Then.GARBAGE, garbage=b"D\x3f\xff\xff\xff"),
    "answers out of turn": Toxic(then=Then.GARBAGE, garbage=b"Z\x00\x00\x00\x05I" * 2),
    "trickles": Toxic(bytes_per_s=10),
}
WELL = "well"
FAR = "far"  # 150 ms away, more or less
KINDS = {
    "stalls": "silent",
    "trickles": "silent",
    "accepts": "silent",
    "promises": "protocol",
    "resets": "lost",
    "ends": "lost",
    "is": "protocol",
    "talks": "protocol",
    "answers": "protocol",
    "refuses": "refused",
}


def name_of(toxic: str) -> str:
    return toxic.replace(" ", "-")


@contextmanager
def proxies(server: ScratchServer, names: Mapping[str, Toxic]) -> Iterator[dict[str, Proxy]]:
    """One for each name, one far away, and one that does nothing."""
    with ExitStack() as stack:
        found = {name: stack.enter_context(proxied(server.port)) for name in (*names, WELL, FAR)}
        found[FAR].down = Toxic(latency_s=0.15, jitter_s=0.1)
        yield found


@contextmanager
def daemon_behind(found: Mapping[str, Proxy], folder: Path) -> Iterator[InProcessDaemon]:
    targets = "".join(TARGET.format(name=name_of(name), port=proxy.port) for name, proxy in found.items())
    with daemon_in_process(folder, HEAD + targets, limits=QUICK) as daemon:
        yield daemon


def down(daemon: Api) -> dict[str, str]:
    """The class of each target that is down, as its incident tells it."""
    found = daemon.incidents("target_down", "firing")
    return {incident["target"]: incident["evidence"]["figures"]["Class"] for incident in found}


def expected(names: Iterable[str]) -> dict[str, str]:
    return {name_of(name): KINDS[name.split()[0]] for name in names}


def the_neighbours_are_well(daemon: InProcessDaemon) -> None:
    for name in (WELL, FAR):
        assert daemon.target(name)["up"] is True
        assert daemon.incidents(target=name) == []
    assert [c for c in daemon.target(WELL)["collectors"] if c["missed_ticks"] or c["failure"]] == []
    assert daemon.get("/healthz")[0] == 200
    assert daemon.events("job_failed") + daemon.events("work_failed") == []


def heal(found: Mapping[str, Proxy], names: Mapping[str, Toxic], daemon: InProcessDaemon) -> None:
    """All come back, each is one incident that has ended, and nothing else was ever told."""
    for name in names:
        found[name].heal()
    poll(lambda: len(daemon.incidents("target_down", "resolved")) == len(names), 30)
    assert daemon.incidents("target_down", "firing") == []
    assert {incident["rule"] for incident in daemon.incidents()} == {"target_down"}
    for name in names:
        assert daemon.target(name_of(name))["up"] is True


def test_each_fault_of_connecting_is_down_with_its_class_and_ends_with_it(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Stalled, reset, cut off, no PostgreSQL at all, too slow, accepted and left, refused: 15 ways of no session."""
    more = {"accepts late": Toxic(), "refuses": Toxic()}
    names = {**CONNECTING, **more}
    with proxies(own_server, names) as found:
        for name, toxic in names.items():
            found[name].down = toxic
        found["accepts late"].accept_after_s = 60
        found["refuses"].refuse()
        with daemon_behind(found, tmp_path) as daemon:
            poll(lambda: len(down(daemon)) == len(names), 40, message="all are down")
            assert down(daemon) == expected(names)
            the_neighbours_are_well(daemon)
            heal(found, names, daemon)
            the_neighbours_are_well(daemon)


def test_each_fault_of_a_read_is_down_with_its_class_and_ends_with_it(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """The same with sessions that were well before: whatever the answer is replaced by, none is believed."""
    with proxies(own_server, READING) as found, daemon_behind(found, tmp_path) as daemon:
        poll(lambda: all(daemon.target(name_of(name))["up"] for name in found), 30)
        for name, toxic in READING.items():
            found[name].down = toxic
        poll(lambda: len(down(daemon)) == len(READING), 40, message="all are down")
        assert down(daemon) == expected(READING)
        the_neighbours_are_well(daemon)
        heal(found, READING, daemon)
        the_neighbours_are_well(daemon)


@pytest.mark.parametrize("then", [Then.RESET, Then.STALL], ids=["reset", "silence"])
def test_one_bad_answer_is_no_incident(own_server: ScratchServer, tmp_path: Path, then: Then) -> None:
    """A connection that breaks once, at any moment, is made anew in time: nothing fires, and the count says it."""
    with proxies(own_server, {"once": Toxic()}) as found, daemon_behind(found, tmp_path) as daemon:
        poll(lambda: daemon.target("once")["up"], 20)
        found["once"].down = Toxic(after=20, then=then)
        poll(lambda: daemon.events("target_unreachable"), 20)
        found["once"].heal()
        poll(lambda: all(daemon.target(name)["up"] for name in found), 20)
        assert [one for one in daemon.incidents() if one["fired_at"]] == []
        the_neighbours_are_well(daemon)
