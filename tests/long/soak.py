"""Two hours and more in twenty-four minutes: intervals at their shortest, a daemon that must not change.

    python -m tests.long.soak [--cycles 12]

Each cycle of two minutes stages faults at known times (see acts.py): lock pile-ups, forgotten transactions, constraints
that are not valid, servers that go away, fall silent, flap and are slow, ended connections, reset statistics,
targets that leave and come with a reload, a Slack that is away or limits us. Twelve cycles poll as often as two hours
at the default intervals do for locks and availability, as four for the activity, and as a day does for the statements.

Every staged fault must be told once and its end once, and nothing else; at the quiet end of the cycles the daemon must
hold the same memory, threads, descriptors and connections.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median

import psutil
import psycopg

from tests.bench.figures import Figure, hold, machine
from tests.long.acts import CYCLE, CYCLE_S, SHORT_S
from tests.long.ledger import Told, told
from tests.long.stage import Stage, stage
from tests.support.polling import poll

WARM_CYCLES = 3  # of twelve: by then everything has happened more than once


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    rss_bytes: int
    threads: int
    descriptors: int
    sessions: int  # on all servers, real and fake
    store_bytes: int
    incidents: int

    def __str__(self) -> str:
        return (
            f"{self.at_s:6.0f} s: {self.rss_bytes / 1e6:6.1f} MB RSS, {self.threads} threads, {self.descriptors} fds,"
            f" {self.sessions} sessions, store {self.store_bytes / 1e3:.0f} kB, {self.incidents} incidents"
        )


def sample(stage: Stage, began_s: float) -> Sample:
    process = psutil.Process(stage.daemon.process.pid)
    return Sample(
        at_s=time.monotonic() - began_s,
        rss_bytes=process.memory_info().rss,
        threads=process.num_threads(),
        descriptors=process.num_fds(),
        sessions=_sessions(stage),
        store_bytes=sum(file.stat().st_size for file in stage.daemon.directory.glob("pgvigil.db*")),
        incidents=len(stage.incidents()),
    )


def _sessions(stage: Stage) -> int:
    ours = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgvigil'"
    real = 0
    for server in (stage.main, stage.aux):
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            (count,) = admin.execute(ours).fetchone() or (0,)
            real += int(count)
    return real + stage.fakes.sessions()


def play(stage: Stage, began_s: float, cycle: int) -> Sample:
    """One cycle; what its quiet end looks like."""
    start_s = began_s + cycle * CYCLE_S
    with ThreadPoolExecutor(len(CYCLE), thread_name_prefix="act") as pool:
        acts: list[Future[None]] = []
        for act in CYCLE:
            _until(start_s + act.at_s)
            acts.append(pool.submit(act.play, stage))
        _until(start_s + SHORT_S)
        for one in acts:
            one.result()
    return sample(stage, began_s)


def _until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.monotonic()))


def settled(stage: Stage) -> Told:
    """What was told in the end."""

    def quiet() -> bool:
        nothing_open = not [one for one in stage.incidents() if one["state"] != "resolved"]
        return nothing_open and stage.daemon.metric("pgvigil_outbox_pending{") == 0

    poll(quiet, 90, message="everything has recovered and was told", interval_s=0.5)
    return told(stage.slack, stage.incidents())


def verdict(samples: Sequence[Sample], staged: Counter[tuple[str, str]], heard: Told) -> list[Figure]:
    steady = samples[min(WARM_CYCLES, len(samples) - 1) :]
    wrong_starts, wrong_ends = heard.unlike(staged)
    what = f"{len(samples)} cycles, {staged.total()} faults"
    found = [
        Figure(f"{what}: staged and not told, or told and not staged", wrong_starts, 0),
        Figure(f"{what}: ends not told, or told too often", wrong_ends, 0),
        Figure(f"{what}: messages about what has one already", heard.duplicates, 0),
    ]
    if len(steady) < 3:
        return found
    return [
        *found,
        Figure("RSS at the quiet ends, growth a cycle", _slope(steady, "rss_bytes") / 1e6, 0.5, "MB"),
        Figure("RSS at the quiet ends, most", max(one.rss_bytes for one in steady) / 1e6, unit="MB"),
        Figure("threads, growth from first to last third", _rise(steady, "threads"), 3),
        Figure("descriptors, growth from first to last third", _rise(steady, "descriptors"), 3),
        Figure("sessions on the servers, growth", _rise(steady, "sessions"), 1),
        Figure("store, growth for each incident", _per_incident(steady) / 1e3, 20, "kB"),
    ]


def _slope(steady: Sequence[Sample], name: str) -> float:
    return linear_regression(range(len(steady)), [getattr(one, name) for one in steady]).slope


def _rise(steady: Sequence[Sample], name: str) -> float:
    third = max(1, len(steady) // 3)
    values = [float(getattr(one, name)) for one in steady]
    return median(values[-third:]) - median(values[:third])


def _per_incident(steady: Sequence[Sample]) -> float:
    first, last = steady[0], steady[-1]
    return (last.store_bytes - first.store_bytes) / max(1, last.incidents - first.incidents)


def figures(cycles: int = 1) -> list[Figure]:
    with tempfile.TemporaryDirectory() as place, stage(Path(place), cycles) as made:
        poll(lambda: made.daemon.get("/readyz")[0] == 200, 30, message="every target was tried")
        began_s = time.monotonic()
        samples = []
        for cycle in range(cycles):
            samples.append(play(made, began_s, cycle))
            print(samples[-1], flush=True)
        heard = settled(made)
        print(*heard.differences(made.staged), sep="\n")
        return verdict(samples, made.staged, heard)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The soak.")
    parser.add_argument("--cycles", type=int, default=12)
    print(machine())
    sys.exit(hold(figures(**vars(parser.parse_args()))))
