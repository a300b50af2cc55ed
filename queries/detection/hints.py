"""Calls, rows per call and temporary blocks: what moved beside a shift, and why. Simple tests, for none of them is a page.

Calls are counted in windows of five minutes, so that none at all is seen too, and compared as square roots, whose
stray does not depend on their size, with the same hour of the days before. Rows per call hardly stray: a ratio of 3.
Temporary blocks are nearly always none, so that every mean and every scale of them is 0: who had none in 99 of 100
buckets and has many now has begun to spill.
"""

import math

import numpy as np
from numpy.typing import NDArray

from queries.detection import lifecycle
from queries.detection.buckets import BUCKET_S, EARLY, Closed
from queries.detection.levels import CLOCK
from queries.detection.lifecycle import BUCKETS, Steps
from queries.detection.state import Array, Fields, State
from queries.tracked import Intervals

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

_NEED, _OF = 3, 4

_CALLS_RATIO = 1.5
_CALLS_SCALES = 4.0
_DAYS = 5  # how fast the hours of a day follow
_LEAST_STRAY = 0.67  # of 2 * sqrt(calls), if they came by pure chance: the median of |normal|

_ROWS_RATIO = 3.0
_ROWS_LEAST = 24  # buckets before they are judged
_STEP = 0.02

_SPILLS_SHARE = 0.01
_SPILLS_MEMORY = 500  # buckets
_SPILLS_BLOCKS_A_MINUTE = 1280.0  # 10 MB

FIELDS: Fields = {
    **lifecycle.clock("calls", lifecycle.LAST),
    **lifecycle.fields("calls"),
    "calls.profile": ("f2", (24,), np.nan),  # square root of calls a minute, by hour of the day
    "calls.days": ("i1", (24,), 0),
    "calls.hour": ("f4", (2,), 0.0),  # calls and seconds of this hour
    "calls.window": ("f8", (2,), 0.0),  # the same of this window
    "calls.stray": ("f4", (), _LEAST_STRAY),
    "calls.rate": ("f4", (), np.nan),  # a minute, smoothed over an hour
    **lifecycle.fields("rows"),
    "rows.usual": ("f4", (), np.nan),
    "rows.seen": ("i2", (), 0),
    **lifecycle.fields("temp"),
    "temp.share": ("f4", (), 0.0),
    "temp.seen": ("i2", (), 0),
    "temp.rate": ("f4", (), 0.0),  # blocks a minute, of the last bucket
}


def calls(state: State, intervals: Intervals) -> Steps:
    """Windows of calls that closed with this reading. An hour is compared from the next day on."""
    told = ~np.isnan(intervals.values["calls"])
    until_s = intervals.until.timestamp()
    _hour(state, int(until_s // 3600))
    added = np.stack((intervals.values["calls"], np.full(len(told), intervals.elapsed_s)), axis=1)[told]
    state["calls.hour"][told] += added
    state["calls.window"][told] += added
    _rate(state, told, added)
    state["calls.window"][~told] = 0.0
    rows = np.flatnonzero(state["calls.window"][:, 1] >= EARLY * BUCKET_S)
    counted, told_s = state["calls.window"][rows].T
    state["calls.window"][rows] = 0.0
    if not len(rows):
        return lifecycle.NO_STEPS
    began_s = until_s - told_s
    lifecycle.begin(state, "calls", ("calls",), rows, began_s, np.full(len(rows), until_s))
    expected = expected_calls(state, rows) * told_s / 60
    distance = 2 * (np.sqrt(counted + 0.375) - np.sqrt(np.maximum(expected, 0) + 0.375))
    scale = 1.4826 * state["calls.stray"][rows]
    ratio = np.abs(np.log((counted + 1) / (expected + 1)))
    known = ~np.isnan(expected)
    hot = known & (np.abs(distance) > _CALLS_SCALES * scale) & (ratio > math.log(_CALLS_RATIO))
    calm = known & (np.abs(distance) < 2 * scale)
    level = np.log((counted + 1) / (np.nan_to_num(expected) + 1))
    open_now = state["calls.found"][rows] > 0
    steps = _judged(state, "calls", "calls", rows, hot, calm, level, began_s)
    quiet = known & ~hot & ~open_now
    _follow(state["calls.stray"], rows[quiet], np.abs(distance[quiet]))
    state["calls.stray"][rows] = np.maximum(state["calls.stray"][rows], _LEAST_STRAY)
    return steps


def expected_calls(state: State, rows: Rows) -> Array:
    """A minute, at this hour; NaN on the first day."""
    root: Array = state["calls.profile"][rows, state.clock.get("hour", 0) % 24].astype(np.float64)
    return root**2


def calls_before_and_now(state: State, row: int) -> tuple[float, float]:
    """A minute."""
    before = float(np.nan_to_num(expected_calls(state, np.array([row]))[0]))
    window = BUCKET_S / 60
    now = ((before * window + 1) * math.exp(float(state["calls.level"][row])) - 1) / window
    return before, max(0.0, now)


def returned(state: State, closed: Closed) -> Steps:
    """Rows per call of the buckets that closed."""
    rows, value = closed.rows, np.log(closed.returned + 1)
    usual, seen = state["rows.usual"], state["rows.seen"]
    fresh = np.isnan(usual[rows])
    usual[rows[fresh]] = value[fresh]
    residual = value - usual[rows]
    hot = (np.abs(residual) > math.log(_ROWS_RATIO)) & (seen[rows] >= _ROWS_LEAST)
    calm = np.abs(residual) < math.log(_ROWS_RATIO) / 2
    steps = _judged(state, "rows", CLOCK, rows, hot, calm, residual, closed.began_s)
    quiet = ~hot & (state["rows.found"][rows] == 0)
    usual[rows[quiet]] += _STEP * np.sign(residual[quiet])
    seen[rows[quiet]] = np.minimum(seen[rows[quiet]] + 1, 1000)
    return steps


def spilled(state: State, closed: Closed) -> Steps:
    """Temporary blocks of the buckets that closed."""
    rows = closed.rows
    rate = closed.temp / closed.told_s * 60
    share, seen = state["temp.share"], state["temp.seen"]
    rare = (share[rows] < _SPILLS_SHARE) & (seen[rows] >= _ROWS_LEAST)
    hot = (rare | (state["temp.found"][rows] > 0)) & (rate >= _SPILLS_BLOCKS_A_MINUTE)
    state["temp.rate"][rows] = rate
    calm = closed.temp == 0
    steps = _judged(state, "temp", CLOCK, rows, hot, calm, np.log(rate + 1), closed.began_s)
    quiet = ~hot & (state["temp.found"][rows] == 0)
    known = rows[quiet]
    share[known] += ((closed.temp[quiet] > 0) - share[known]) / np.minimum(seen[known] + 1, _SPILLS_MEMORY)
    seen[known] = np.minimum(seen[known] + 1, 1000)
    return steps


def _judged(
    state: State, name: str, clock: str, rows: Rows, hot: Flags, calm: Flags, level: Floats, began_s: Floats
) -> Steps:
    lifecycle.count(state, name, rows, hot, calm)
    state[f"{name}.level"][rows] = level
    enough = hot & lifecycle.hot_enough(state, name, rows, _NEED, _OF)
    since_s = lifecycle.first_hot_s(state, clock, name, rows, _OF)
    return lifecycle.settle(state, name, rows, np.where(enough, BUCKETS, 0), since_s, level, began_s=began_s)


def _hour(state: State, hour: int) -> None:
    """When an hour is over it joins the same hour of the days before, unless the calls have shifted in it."""
    before = state.clock.get("hour", hour)
    state.clock["hour"] = hour if before - hour > 24 else max(hour, before)
    if hour <= before:
        return
    at = before % 24
    good = (state["calls.hour"][:, 1] >= 1800) & (state["calls.found"] == 0)
    counted, told_s = state["calls.hour"][good].T
    days = np.minimum(state["calls.days"][good, at] + 1, _DAYS)
    old = state["calls.profile"][good, at]
    rate = np.sqrt(counted / told_s * 60)
    state["calls.profile"][good, at] = np.where(np.isnan(old), rate, old + (rate - old) / days)
    state["calls.days"][good, at] = days
    state["calls.hour"][:] = 0.0


def _rate(state: State, told: Flags, added: Array) -> None:
    rate = state["calls.rate"]
    now = added[:, 0] / np.maximum(added[:, 1], 1) * 60
    weight = np.minimum(1.0, added[:, 1] / 3600)
    rate[told] = np.where(np.isnan(rate[told]), now, rate[told] + weight * (now - rate[told]))


def _follow(medians: Array, rows: Rows, sizes: Floats) -> None:
    medians[rows] *= np.exp(_STEP * np.sign(sizes - medians[rows]))
