"""Statements as they run for days: healthy ones of many kinds, and what can go wrong with them. Seeded; minutes of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgvigil.postgres.frames import Frame
from queries.detection.detector import Detector
from queries.detection.shifts import Shift
from queries.tracked import MEASURES, Intervals

DAY = 1440  # minutes
START = datetime(
    2026, 9, 4, tzinfo=UTC
)  # a Friday: the days of rest are early, so that the last days are busy
FIRST_ID = 1000
RATES = (0.3, 2.0, 10.0, 60.0, 400.0)  # calls a minute

_CALL_VARIANCE = float(np.e - 1)  # of one call's time over its mean squared: log-normal, sigma 1
_LEVEL_SD = 0.1
_LEVEL_STAYS = 0.97  # from minute to minute
_CHURN = 0.26  # log of the most that was seen under HOT updates: 1.3 times
_BURSTS_A_DAY = 1.0


@dataclass
class Corpus:
    """`measures[name][minute, statement]`. NaN is what could not be read."""

    rates: NDArray[np.float64]  # calls a minute that each statement has by day
    measures: dict[str, NDArray[np.float64]]
    step_s: float = 60.0  # of a reading

    @property
    def readings(self) -> int:
        return len(self.measures["calls"])

    def slower(
        self,
        which: slice | Sequence[int],
        since: int,
        until: int | None,
        factor: float,
        *,
        blocks: bool = False,
    ) -> None:
        """These take `factor` times as long from minute to minute; with `blocks` they read as many times the blocks."""
        self.measures["exec_ms"][since:until, which] *= factor
        if blocks:
            self.measures["shared_blocks"][since:until, which] *= factor

    def gap(self, since: int, until: int) -> None:
        for column in self.measures.values():
            column[since:until] = np.nan

    def intervals(self, reading: int) -> Intervals:
        count = len(self.rates)
        until = START + timedelta(seconds=self.step_s * (reading + 1))
        return Intervals(
            target="orders-prod",
            since=until - timedelta(seconds=self.step_s),
            until=until,
            elapsed_s=self.step_s,
            unknown=None,
            statements=Frame(
                {
                    "dbid": np.full(count, 5),
                    "userid": np.full(count, 10),
                    "queryid": FIRST_ID + np.arange(count),
                    "toplevel": np.ones(count, np.bool_),
                }
            ),
            values=Frame({name: self.measures[name][reading] for name in MEASURES}),
            remainder=None,
            untold=0,
        )

    def play(self, detector: Detector, since: int = 0, until: int | None = None) -> list[tuple[int, Shift]]:
        """What the detector told, with the number of the reading."""
        return [
            (reading, shift)
            for reading in range(since, self.readings if until is None else until)
            for shift in detector.take(self.intervals(reading))
        ]


def place(shift: Shift) -> int:
    """Which statement of the corpus it is."""
    return shift.statement.queryid - FIRST_ID


def steady(
    *,
    days: float,
    count: int = 1,
    calls: float = 60,
    ms: float = 20.0,
    blocks: float = 80.0,
    step_s: float = 60.0,
) -> Corpus:
    """Statements that do the same in every reading, but for a hair."""
    readings = round(days * DAY * 60 / step_s)
    chance = np.random.default_rng(1)
    ran = np.full((readings, count), float(calls))
    corpus = Corpus(np.full(count, calls), {name: np.zeros_like(ran) for name in MEASURES}, step_s)
    corpus.measures |= {
        "calls": ran,
        "exec_ms": ran * ms * np.exp(chance.normal(0, 0.02, ran.shape)),
        "rows": ran.copy(),
        "shared_blocks": ran * blocks,
    }
    return corpus


def healthy(
    seed: int,
    *,
    days: float = 14,
    rates: Sequence[float] = RATES,
    each: int = 12,
    batch: float = 3.0,
    mean_ms: float = 20.0,
) -> Corpus:
    """`each` statements at each rate: calls with a day and a week, skewed times, a level that wanders, load that makes
    all slower, a batch of half an hour every night, bursts of a minute to four.
    """
    chance = np.random.default_rng(seed)
    rate = np.repeat(np.asarray(rates, np.float64), each)
    minutes, count = int(days * DAY), len(rate)
    at = np.arange(minutes)
    daily = 1 + 0.5 * np.sin(2 * np.pi * (at / DAY - 0.35))
    busy = daily * np.where((at // DAY + START.weekday()) % 7 >= 5, 0.6, 1.0)
    expected = rate[None, :] * busy[:, None]
    calls = chance.poisson(expected * chance.gamma(10.0, 0.1, (minutes, count))).astype(np.float64)
    times = mean_ms * _means(chance, calls) * np.exp(_levels(chance, minutes, count))
    times *= np.exp(0.2 * (busy - 1))[:, None]
    times[(at % DAY >= 120) & (at % DAY < 150)] *= batch
    times *= _bursts(chance, minutes, count)
    return Corpus(rate, _measures(chance, calls, times))


def _measures(chance: np.random.Generator, calls: Any, times: Any) -> dict[str, NDArray[np.float64]]:
    """Blocks hardly stray, but for the statements whose rows move about (every third)."""
    minutes, count = calls.shape
    usual = chance.choice([3.0, 12.0, 80.0, 2000.0], count)
    churn = np.where(np.arange(count) % 3 == 0, _CHURN, 0.0) * np.tanh(_levels(chance, minutes, count) / 0.15)
    stray = np.exp(churn + chance.normal(0, 0.05, calls.shape) / np.sqrt(np.maximum(calls, 1)))
    blocks = np.round(usual * stray * calls)
    nothing = np.zeros_like(calls)
    return {
        "calls": calls,
        "exec_ms": times * calls,
        "rows": calls.copy(),
        "shared_blocks": blocks,
        "temp_blocks": nothing,
        "io_ms": nothing,
        "wal_bytes": nothing,
    }


def _means(chance: np.random.Generator, calls: Any) -> NDArray[np.float64]:
    """The mean of so many log-normal times, as one log-normal of the same mean and variance (Fenton and Wilkinson)."""
    variance = np.log1p(_CALL_VARIANCE / np.maximum(calls, 1))
    means: NDArray[np.float64] = np.exp(chance.normal(-variance / 2, np.sqrt(variance)))
    return means


def _levels(chance: np.random.Generator, minutes: int, count: int) -> NDArray[np.float64]:
    """Autoregressive of the first order."""
    steps = chance.normal(0, _LEVEL_SD * np.sqrt(1 - _LEVEL_STAYS**2), (minutes, count))
    levels = np.empty_like(steps)
    level = chance.normal(0, _LEVEL_SD, count)
    for minute in range(minutes):
        level = _LEVEL_STAYS * level + steps[minute]
        levels[minute] = level
    return levels


def _bursts(chance: np.random.Generator, minutes: int, count: int) -> NDArray[np.float64]:
    """A minute to four, three to ten times as slow."""
    factors = np.ones((minutes, count))
    for statement in range(count):
        for begins in chance.integers(0, minutes, chance.poisson(minutes / DAY * _BURSTS_A_DAY)):
            factors[begins : begins + chance.integers(1, 5), statement] = chance.uniform(3, 10)
    return factors
