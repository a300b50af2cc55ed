"""What detection finds, what it raises for nothing, and what it costs; beside the detectors that are written first.

    python -m tests.bench.bench_detection

Statements that run for eight days (`tests/support/corpus/series.py`), judged from the third on. On the last day some of
them become slower, at times of their own. An episode of a healthy statement is false. No server is needed.
"""

import math
import statistics
import sys
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from queries.detection.detector import Detector
from queries.detection.shifts import Phase, Series
from tests.bench.figures import Figure, hold
from tests.bench.naive import NAIVE, episodes
from tests.support.corpus.series import DAY, RATES, Corpus, healthy, place

DAYS, JUDGED_FROM = 8, 3 * DAY
INJECTED_FROM = 7 * DAY + 240  # the nightly batch hides what is not slower than it
FACTORS = (1.5, 2.0, 5.0, 10.0)
WITHIN = {2.0: 40, 5.0: 15, 10.0: 10}
HEALTHY, SLOWER = 20, 10  # of each rate; slower ones of each factor
SEEDS = (1, 2)
OURS, INFO = "ours", "ours, with infos (CUSUM)"


@dataclass
class Result:
    """Of one detector, by rate."""

    false: dict[float, int] = field(default_factory=lambda: defaultdict(int))
    delays: dict[tuple[float, float], list[float]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Run:
    """`steps`: of a statement that becomes slower, when and by how much."""

    corpus: Corpus
    steps: dict[int, tuple[int, float]]

    @classmethod
    def of(cls, seed: int) -> "Run":
        each = HEALTHY + SLOWER * len(FACTORS)
        corpus = healthy(seed, days=DAYS, each=each)
        chance = np.random.default_rng(seed + 100)
        steps = {}
        for number in range(len(corpus.rates)):
            if number % each >= HEALTHY:
                factor = FACTORS[(number % each) % len(FACTORS)]
                steps[number] = (INJECTED_FROM + int(chance.integers(0, 1100)), factor)
                corpus.slower([number], steps[number][0], None, factor)
        return cls(corpus, steps)

    def count(self, result: Result, number: int, begun: list[int]) -> None:
        """Sort what a detector raised into false and true."""
        rate = float(self.corpus.rates[number])
        at, factor = self.steps.get(number, (self.corpus.readings, 0.0))
        result.false[rate] += sum(JUDGED_FROM <= minute < at for minute in begun)
        if factor:
            found = [minute + 1 - at for minute in begun if minute >= at]
            result.delays[rate, factor].append(min(found, default=math.inf))

    def weeks(self, rate: float) -> float:
        ends = (
            self.steps.get(number, (self.corpus.readings, 0.0))[0]
            for number in np.flatnonzero(self.corpus.rates == rate).tolist()
        )
        return sum(end - JUDGED_FROM for end in ends) / (7 * DAY)


def ours(run: Run, results: dict[str, Result]) -> list[float]:
    """CPU seconds of each reading."""
    detector = Detector()
    begun: dict[str, dict[int, list[int]]] = {OURS: defaultdict(list), INFO: defaultdict(list)}
    spent = []
    for minute in range(run.corpus.readings):
        intervals = run.corpus.intervals(minute)
        began_s = time.thread_time()
        told = detector.take(intervals)
        spent.append(time.thread_time() - began_s)
        for shift in told:
            if shift.phase is Phase.OPEN and shift.series in (Series.TIME, Series.BLOCKS):
                begun[INFO][place(shift)].append(minute)
                if shift.sure:
                    begun[OURS][place(shift)].append(minute)
    for name, found in begun.items():
        for number in range(len(run.corpus.rates)):
            run.count(results[name], number, found[number])
    return spent


def naive(run: Run, results: dict[str, Result]) -> None:
    calls, times = run.corpus.measures["calls"], run.corpus.measures["exec_ms"]
    means = np.divide(times, calls, out=np.full_like(times, np.nan), where=calls > 0)
    for name, detect in NAIVE.items():
        for number in range(len(run.corpus.rates)):
            with warnings.catch_warnings(), np.errstate(invalid="ignore"):
                warnings.simplefilter("ignore", RuntimeWarning)  # windows without a call
                run.count(results[name], number, episodes(detect(means[:, number])))


def figures() -> list[Figure]:
    results: dict[str, Result] = defaultdict(Result)
    runs = [Run.of(seed) for seed in SEEDS]
    spent = [second for run in runs for second in ours(run, results)]
    for run in runs:
        naive(run, results)
    for name, result in results.items():
        _show(name, result, runs)
    weeks = sum(run.weeks(rate) for run in runs for rate in RATES)
    found = [
        Figure(
            f"false shifts a series-week, {weeks:.0f} of them",
            sum(results[OURS].false.values()) / weeks,
            0.02,
        ),
        Figure("the same with infos (CUSUM)", sum(results[INFO].false.values()) / weeks),
    ]
    for factor, most in WITHIN.items():
        delays = [delay for rate in RATES if rate >= 10 for delay in results[OURS].delays[rate, factor]]
        found += [
            Figure(
                f"{factor:g} times as slow, from 10 calls a minute: median",
                statistics.median(delays),
                most,
                "min",
            ),
            Figure(
                "the same: found later than that",
                100 * sum(each > most for each in delays) / len(delays),
                None,
                "%",
            ),
        ]
    statements = len(runs[0].corpus.rates)
    return [
        *found,
        Figure(
            f"CPU of a reading, {statements} tracked: median", 1000 * statistics.median(spent), None, "ms"
        ),
    ]


def _show(name: str, result: Result, runs: list[Run]) -> None:
    print(f"\n{name}")
    print(
        "| calls a minute | false a series-week | "
        + " | ".join(f"x{each:g}: found, median" for each in FACTORS)
        + " |"
    )
    for rate in RATES:
        cells = []
        for factor in FACTORS:
            delays = result.delays[rate, factor]
            found = [each for each in delays if each < math.inf]
            late = f"{statistics.median(found):.0f} min" if found else "-"
            cells.append(f"{100 * len(found) / len(delays):.0f} %, {late}")
        false = result.false[rate] / sum(run.weeks(rate) for run in runs)
        print(f"| {rate:g} | {false:.3f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(hold(figures()))
