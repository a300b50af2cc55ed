"""Blocks per call and mean time: series with a baseline. Blocks speak first, for the noise of time is not theirs.

A bucket is hot when its residual is above max(log ratio, 4 scales). A shift opens by `need` hot ones of the last `of`;
by the mean of the last half hour's buckets, which sees what is too small for single ones (of noise of its own
size: the half-hour cells'); by CUSUM (k = 1, h = 30 scales), which is an info; or at once by sips, each of them high,
minute after minute. A high value is no news when it was as high at this time yesterday or a week ago.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.detection import lifecycle
from queries.detection.baseline import BATCH_S, Baseline
from queries.detection.baseline import fields as baseline_fields
from queries.detection.buckets import Closed
from queries.detection.lifecycle import BUCKETS, CUSUM, FAST, MEAN, WINDOW, Steps
from queries.detection.state import Fields, State

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

CLOCK = "buckets"

_SCALES = 4.0
_CUSUM_K, _CUSUM_H, _CUSUM_MOST = 1.25, 30.0, 4.0
_MEAN_MOST = 1.5  # times the threshold: for no more is one bucket counted
_MEAN_EACH = 1.2  # times the baseline: every one of the buckets is above
_RECURS = 2.5  # scales: so far above the baseline the highest of six cells is not by chance
_SKEW = 0.1  # of times: so much the mean of most may be below the mean
_SMOOTH = 0.3
_LEAST_MS = 0.001


@dataclass(frozen=True, slots=True)
class Level:
    """How a series is judged."""

    name: str
    a_day: int  # cells
    ratio: float
    need: int
    of: int
    fast_each: float  # every sip of a run is so many times the baseline
    fast_all: float  # and their mean so many times
    fast_s: float  # for so long between its first and its last sip, which may be high in part only
    fast_calls: int  # that a run must have
    fast_scales: float
    mean_scales: float  # how far the mean of the last buckets must be, in scales of cells; inf: not looked at
    floor: float  # what the value must have grown by

    @property
    def fields(self) -> Fields:
        return {
            **baseline_fields(self.name, self.a_day),
            **lifecycle.fields(self.name),
            f"{self.name}.recent": ("f2", (WINDOW,), np.nan),  # residuals
            f"{self.name}.cusum": ("f4", (), 0.0),
            f"{self.name}.cusum_s": ("f8", (), np.nan),
            f"{self.name}.run_s": ("f8", (2,), np.nan),  # begin and end of the first sip of a run
            f"{self.name}.run": ("f4", (2,), 0.0),  # calls, and calls * value
        }


TIME = Level("time", 48, 1.5, 3, 4, 2.5, 3.5, 265.0, 40, 0.0, 4.0, 1.0)
BLOCKS = Level("blocks", 24, 1.3, 2, 3, 3.0, 3.0, 55.0, 10, 8.0, math.inf, 1.0)


class Judge:
    """Of one series of all statements; what it knows is in the state."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.name = level.name
        self.fields = level.fields
        self.baseline = Baseline(level.name, level.a_day)

    def value(self, closed: Closed) -> Floats:
        """As it is compared: logarithms. A block more of three is little, so one is added."""
        return self._logarithm(closed.blocks if self.name == "blocks" else closed.mean_ms)

    def middle(self, closed: Closed) -> Floats:
        """The same of most of its intervals: a burst of two minutes is not in it."""
        return self._logarithm(closed.middle_blocks if self.name == "blocks" else closed.middle_ms)

    def _logarithm(self, values: Floats) -> Floats:
        return np.log(values + 1) if self.name == "blocks" else np.log(np.maximum(values, _LEAST_MS))

    def plain(self, value: Floats) -> Floats:
        """Back to blocks or ms."""
        return np.exp(value) - 1 if self.name == "blocks" else np.exp(value)

    def buckets(self, state: State, closed: Closed, common: Flags) -> Steps:
        """Judge buckets that closed; `common` says which statements are common enough for it."""
        rows, value = closed.rows, self.value(closed)
        residual, threshold = self._residual(state, rows, value)
        able = self.baseline.ready(state, rows) & common
        steady = residual - np.maximum(0.0, value - self.middle(closed) - _SKEW)
        hot = able & (residual > threshold) & (steady > threshold / 2) & self._grown(state, rows, value)
        size = state[f"{self.name}.size"][rows]
        # It is over when it is back at the baseline: to be as high as a week ago may be to be as faulty.
        distance = value - self.baseline(state, "expected")[rows]
        calm = able & (distance < np.minimum(0.75 * threshold, np.where(size > 0, 0.5 * size, np.inf)))
        lifecycle.count(state, self.name, rows, hot, calm)
        found, since_s = self._found(state, rows, steady, able, hot)
        level = state[f"{self.name}.level"]
        jumped = calm | (hot & (level[rows] < threshold))
        smooth = level[rows] + _SMOOTH * (np.nan_to_num(distance) - level[rows])
        level[rows] = np.where(jumped, distance, smooth)
        steps = lifecycle.settle(state, self.name, rows, found, since_s, residual, began_s=closed.began_s)
        quiet = (state[f"{self.name}.found"][rows] == 0) & self.baseline.ready(state, rows)
        self.baseline.stray(state, rows[quiet], residual[quiet])
        self.baseline.add(state, rows, value)
        return steps

    def sips(self, state: State, sips: Closed, common: Flags) -> Steps:
        """Judge sips that closed: only what is far above."""
        rows, value = sips.rows, self.value(sips)
        residual, _ = self._residual(state, rows, value)
        far = np.maximum(
            math.log(self.level.fast_each), self.level.fast_scales * self.baseline(state, "scale")[rows]
        )
        hot = common & self.baseline.ready(state, rows) & (residual > far) & self._grown(state, rows, value)
        run_s, run = state[f"{self.name}.run_s"], state[f"{self.name}.run"]
        running = ~np.isnan(run_s[rows, 0])
        if not (hot | running).any():
            return lifecycle.NO_STEPS
        run_s[rows[~hot]] = np.nan
        run[rows[~hot]] = 0.0
        fresh = hot & ~running
        run_s[rows[fresh]] = np.stack((sips.began_s, sips.ended_s), axis=1)[fresh]
        run[rows[hot]] += np.stack((sips.calls, sips.calls * np.exp(residual)), axis=1)[hot]
        mean = run[rows, 1] / np.maximum(run[rows, 0], 1)
        state[f"{self.name}.level"][rows[hot]] = np.log(mean[hot])
        between_s = sips.began_s - run_s[rows, 1]
        long = hot & (between_s >= self.level.fast_s) & (run[rows, 0] >= self.level.fast_calls)
        long &= mean >= self.level.fast_all
        chosen = np.flatnonzero(long & (state[f"{self.name}.found"][rows] < FAST))
        if not len(chosen):
            return lifecycle.NO_STEPS
        rows = rows[chosen]
        found, size = np.full(len(chosen), FAST), np.log(mean[chosen])
        return lifecycle.settle(
            state, self.name, rows, found, run_s[rows, 0], size, began_s=sips.began_s[chosen]
        )

    def hold(self, state: State, now_s: float) -> None:
        """Keep what shifts that have been open for long did out of the baseline."""
        opens = state[f"{self.name}.open_s"]
        rows = np.flatnonzero((now_s - opens > BATCH_S) & ~self.baseline(state, "frozen"))
        if len(rows):
            self.baseline.hold(state, rows, opens[rows])

    def close(self, state: State, rows: Rows) -> None:
        lifecycle.close(state, self.name, rows)
        state[f"{self.name}.cusum"][rows] = 0.0
        state[f"{self.name}.run_s"][rows] = np.nan
        state[f"{self.name}.recent"][rows] = np.nan
        self.baseline.release(state, rows)

    def _residual(self, state: State, rows: Rows, value: Floats) -> tuple[Floats, Floats]:
        young = self.baseline.young(state, rows)
        threshold = young * np.maximum(
            math.log(self.level.ratio), _SCALES * self.baseline(state, "scale")[rows]
        )
        expected = self.baseline(state, "expected")[rows]
        recurring = self.baseline(state, "recurring")[rows]
        stands_out = np.clip(
            _RECURS * self.baseline(state, "cell_scale")[rows], math.log(1.25), math.log(1.5)
        )
        return value - np.where(recurring - expected > stands_out, recurring, expected), threshold

    def _grown(self, state: State, rows: Rows, value: Floats) -> Flags:
        expected = self.baseline(state, "expected")[rows]
        grown: Flags = self.plain(value) - self.plain(expected) >= self.level.floor
        return grown

    def _found(
        self, state: State, rows: Rows, residual: Floats, able: Flags, hot: Flags
    ) -> tuple[NDArray[np.int64], Floats]:
        """By which test, the surest, and since when."""
        by_cusum, cusum_s = self._cusum(state, rows, np.where(able, residual, 0.0))
        by_mean, mean_s = self._mean(state, rows, np.where(able, residual, np.nan))
        by_buckets = able & hot & lifecycle.hot_enough(state, self.name, rows, self.level.need, self.level.of)
        buckets_s = lifecycle.first_hot_s(state, CLOCK, self.name, rows, self.level.of)
        grown = self._grown(state, rows, residual + self.baseline(state, "expected")[rows])
        by_mean &= able & grown
        found = np.where(
            by_buckets, BUCKETS, np.where(by_mean, MEAN, np.where(by_cusum & able & grown, CUSUM, 0))
        )
        return found, np.where(by_buckets, buckets_s, np.where(by_mean, mean_s, cusum_s))

    def _cusum(self, state: State, rows: Rows, residual: Floats) -> tuple[Flags, Floats]:
        total, since = state[f"{self.name}.cusum"], state[f"{self.name}.cusum_s"]
        scale = self.baseline(state, "scale")[rows] * self.baseline.young(state, rows)
        scales = np.minimum(residual / scale, _CUSUM_MOST)
        before = total[rows]
        total[rows] = np.clip(before + scales - _CUSUM_K, 0.0, 2 * _CUSUM_H)
        fresh = (before == 0) & (total[rows] > 0)
        since[rows[fresh]] = state[f"{CLOCK}.starts"][rows[fresh], -1]
        return total[rows] > _CUSUM_H, since[rows]

    def _mean(self, state: State, rows: Rows, residual: Floats) -> tuple[Flags, Floats]:
        """The mean of the last WINDOW buckets, none of them counted for more than twice the threshold."""
        recent = state[f"{self.name}.recent"]
        recent[rows, :-1] = recent[rows, 1:]
        recent[rows, -1] = residual
        threshold = self.baseline.young(state, rows) * np.maximum(
            math.log(self.level.ratio), self.level.mean_scales * self.baseline(state, "cell_scale")[rows]
        )
        most = _MEAN_MOST * threshold[:, None]
        window = np.minimum(recent[rows], most)
        high = window > math.log(_MEAN_EACH)
        far = (window.mean(axis=1) > threshold) & high.all(axis=1)
        starts = state[f"{CLOCK}.starts"][rows]
        return far, starts[:, 0]


MEANCLOCK = "buckets"

_SCALES = 4.0
MEAN_MOST = 1.5
MEAN_EACH = 1.2
