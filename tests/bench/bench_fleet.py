"""Two hundred targets with 5,000 statements each, at the default intervals; then with a fifth of them in trouble.

    python -m tests.bench.bench_fleet [--targets 200] [--minutes 3]

The daemon is a process of its own. Twenty targets are databases of one real server, the others are fakes in a
process of their own, which answer as a real server did at the start of the run, with counters that advance: in
each interval a tenth of the statements run, and one is replaced by a new one (see tests/support/fakes). Each of
them has three databases and thirty sessions. CPU and growth are taken over whole minutes after the first two.
"""

import argparse
import gzip
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from collectors.availability import COLLECTOR as AVAILABILITY
from tests.bench.figures import Figure, hold, machine
from tests.bench.fleet.fleet import Fleet, fleet
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.polling import poll

WARM_S = 120.0  # two readings of the statements: memory and connections are what they will be
SCRAPES = 40
OWN_COLLECTORS = ("activity", "availability", "lock_waits", "statements")
NO_PROXY = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
SERVERS = {True: 20, False: 2}  # real ones, in a fleet of a usual size and in a small one


@dataclass(frozen=True, slots=True)
class Usage:
    """What the daemon's process has used and holds, at one moment."""

    at_s: float
    cpu_s: float
    rss_bytes: int
    threads: int
    descriptors: int
    store_bytes: int
    asked: int  # polls of availability that the healthy fakes saw

    def percent_since(self, before: "Usage") -> float:
        """CPU of one core."""
        return 100 * (self.cpu_s - before.cpu_s) / (self.at_s - before.at_s)

    def growth_per_hour(self, before: "Usage") -> float:
        return (self.store_bytes - before.store_bytes) / (self.at_s - before.at_s) * 3600


class Watched:
    """A fleet and the daemon that watches it; `healthy` are the targets that are to be read."""

    def __init__(self, fleet: Fleet, daemon: RunningDaemon, healthy: tuple[str, ...]) -> None:
        self.fleet = fleet
        self.daemon = daemon
        self.healthy = healthy
        self._process = psutil.Process(daemon.process.pid)
        self.most_rss_bytes = 0

    def usage(self) -> Usage:
        times = self._process.cpu_times()
        asked = self.fleet.fakes.asked()
        files = self.daemon.directory.glob("pgvigil.db*")
        return Usage(
            at_s=time.monotonic(),
            cpu_s=times.user + times.system,
            rss_bytes=self._process.memory_info().rss,
            threads=self._process.num_threads(),
            descriptors=self._process.num_fds(),
            store_bytes=sum(file.stat().st_size for file in files),
            asked=sum(
                asked[port].get(AVAILABILITY.name, 0)
                for name, port in self.fleet.ports.items()
                if name in self.healthy
            ),
        )

    def over(self, seconds: float) -> tuple[Usage, Usage]:
        """What it was before and after so long; the most memory meanwhile is remembered."""
        before = self.usage()
        while (left_s := before.at_s + seconds - time.monotonic()) > 0:
            time.sleep(min(1.0, left_s))
            self.most_rss_bytes = max(self.most_rss_bytes, self._process.memory_info().rss)
        return before, self.usage()

    def samples(self, family: str) -> dict[tuple[str, str], float]:
        """Of a family of collectors, by target and collector; of several databases the least."""
        found: dict[tuple[str, str], float] = {}
        for line in self.daemon.get("/metrics")[1].splitlines():
            if line.startswith(family + "{"):
                labels = dict(
                    pair.split("=", 1) for pair in line[len(family) + 1 : line.index("}")].split(",")
                )
                key = (labels["target"].strip('"'), labels["collector"].strip('"'))
                found[key] = min(found.get(key, float("inf")), float(line.rpartition(" ")[2]))
        return found

    def missed(self) -> float:
        """Ticks of healthy targets that came while the reading before was still due."""
        return sum(
            ticks
            for (target, _), ticks in self.samples("pgvigil_collector_skipped_ticks_total").items()
            if target in self.healthy
        )

    def first_cycle_s(self) -> float:
        """From the start of the process until every healthy target was read by every collector of the server."""
        began_s = self._process.create_time()
        wanted = {(target, collector) for target in self.healthy for collector in OWN_COLLECTORS}

        def read() -> bool:
            return wanted <= self.samples("pgvigil_collector_last_success_timestamp_seconds").keys()

        poll(read, 120, message="the first cycle of every healthy target", interval_s=0.25)
        return time.time() - began_s


@contextmanager
def watched(place: Path, fleet: Fleet, healthy: tuple[str, ...]) -> Iterator[Watched]:
    (place / "run").mkdir()
    with running_daemon(place / "run", fleet.config(), NO_PROXY) as daemon:
        yield Watched(fleet, daemon, healthy)


def above_info(daemon: RunningDaemon) -> list[dict[str, Any]]:
    return [each for each in daemon.incidents() if each["peak_severity"] != "info"]


def scrape(daemon: RunningDaemon, *, packed: bool = False) -> bytes:
    request = urllib.request.Request(daemon.url + "/metrics")
    if packed:
        request.add_header("Accept-Encoding", "gzip")
    with urllib.request.urlopen(request, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def scrape_cost_ms(one: Watched, idle_percent: float, *, packed: bool) -> float:
    """CPU of one scrape: what the daemon used during many, less what it uses without."""
    process = psutil.Process(one.daemon.process.pid)
    began, before = time.monotonic(), process.cpu_times()
    for _ in range(SCRAPES):
        scrape(one.daemon, packed=packed)
        time.sleep(0.25)  # as much of a rest as lets the samples change
    after, took_s = process.cpu_times(), time.monotonic() - began
    used_s = after.user + after.system - before.user - before.system
    return (used_s - took_s * idle_percent / 100) / SCRAPES * 1000


def in_order(place: Path, fleet: Fleet, seconds: float) -> list[Figure]:
    with watched(place, fleet, fleet.targets) as one:
        first_s = one.first_cycle_s()
        one.over(WARM_S)
        before, after = one.over(seconds)
        due = len(fleet.ports) * (after.at_s - before.at_s) / AVAILABILITY.interval_s
        text, zipped = scrape(one.daemon), scrape(one.daemon, packed=True)
        assert gzip.decompress(zipped)
        quiet_before, quiet_after = one.over(20)
        idle_percent = quiet_after.percent_since(quiet_before)
        cost_ms = scrape_cost_ms(one, idle_percent, packed=False)
        packed_ms = scrape_cost_ms(one, idle_percent, packed=True)
        incidents = above_info(one.daemon)
        what = f"{len(fleet.targets)} targets"
        print(f"incidents: {[(each['rule'], each['target']) for each in incidents]}")
        return [
            Figure(f"{what}: CPU of the daemon, of one core", after.percent_since(before), 25, "%"),
            Figure(f"{what}: most RSS", one.most_rss_bytes / 1e6, 500, "MB"),
            Figure(f"{what}: missed ticks", one.missed(), 0),
            Figure(
                f"{what}: polls that came late by a whole interval",
                due - (after.asked - before.asked),
                len(fleet.ports),
            ),
            Figure(f"{what}: first cycle of all", first_s, unit="s"),
            Figure(f"{what}: growth of the store, an hour", after.growth_per_hour(before) / 1e6, unit="MB"),
            Figure(f"{what}: threads", after.threads),
            Figure(f"{what}: descriptors", after.descriptors),
            Figure(f"{what}: incidents above info", len(incidents), 0),
            Figure("/metrics: CPU of a scrape", cost_ms, 50, "ms"),
            Figure("/metrics: CPU of a scrape with gzip", packed_ms, unit="ms"),
            Figure("/metrics: size", len(text) / 1e6, 20, "MB"),
            Figure("/metrics: size with gzip", len(zipped) / 1e6, unit="MB"),
        ]


def trouble(fleet: Fleet) -> Mapping[str, tuple[str, ...]]:
    """A fifth of the targets: dead, silent from the start, falling silent in the middle, and flapping."""
    kinds = ("dead", "silent", "frozen", "flapping")
    names = tuple(fleet.ports)[: len(fleet.targets) // 5]
    return {kind: names[place :: len(kinds)] for place, kind in enumerate(kinds)}


def in_trouble(place: Path, fleet: Fleet, seconds: float) -> list[Figure]:
    kinds = trouble(fleet)
    faulty = {name for names in kinds.values() for name in names}
    healthy = tuple(name for name in fleet.targets if name not in faulty)
    for kind in ("dead", "silent", "flapping"):
        fleet.fakes.become(kind, [fleet.ports[name] for name in kinds[kind]])
    with watched(place, fleet, healthy) as one:
        first_s = one.first_cycle_s()
        fleet.fakes.become("silent", [fleet.ports[name] for name in kinds["frozen"]])
        one.over(WARM_S)
        before, after = one.over(seconds)
        due = (
            sum(name in fleet.ports for name in healthy)
            * (after.at_s - before.at_s)
            / AVAILABILITY.interval_s
        )
        incidents = above_info(one.daemon)
        told = {each["target"] for each in incidents if each["rule"] == "target_down"}
        others = [each for each in incidents if each["target"] not in faulty or each["rule"] != "target_down"]
        print(f"strangers: {[(each['rule'], each['target'], each['summary']) for each in others]}")
        what = f"{len(faulty)} of {len(fleet.targets)} in trouble"
        return [
            Figure(f"{what}: CPU of the daemon, of one core", after.percent_since(before), 25, "%"),
            Figure(f"{what}: most RSS", one.most_rss_bytes / 1e6, 500, "MB"),
            Figure(f"{what}: missed ticks of the healthy", one.missed(), 0),
            Figure(
                f"{what}: their polls late by a whole interval",
                due - (after.asked - before.asked),
                len(healthy),
            ),
            Figure(f"{what}: first cycle of all healthy", first_s, unit="s"),
            Figure(f"{what}: threads", after.threads),
            Figure(f"{what}: faulty ones not told as down", len(faulty - told), 0),
            Figure(f"{what}: incidents of anything else above info", len(others), 0),
        ]


def figures(targets: int = 200, minutes: float = 3) -> list[Figure]:
    found: list[Figure] = []
    for measure in (in_order, in_trouble):
        with tempfile.TemporaryDirectory() as place:
            real = SERVERS[targets >= 100]
            with fleet(Path(place), real=real, fake=targets - real) as one:
                found += measure(Path(place), one, minutes * 60)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Many targets.")
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=3)
    print(machine())
    sys.exit(hold(figures(**vars(parser.parse_args()))))
