"""Where a value is going: how much a counter grew, how fast a gauge moves, and when it reaches a limit.

Slopes are robust: the median of the slopes between all pairs of points (Theil 1950, Sen 1968), which a burst or a
dip of less than a quarter of the time does not move. Points are the fewer the older they are, so each stands for the
time around it: a pair counts as the product of the two. Their uncertainty is the middle 80 % of those slopes: no
textbook interval, since readings of one server are not independent, but what the past really did.

What grows in bursts (a batch at night, people by day) stands still between them, and pairs within one of its rests say
nothing of weeks. So pairs count only when they are twice as far apart as the longest rest, and where fewer than two
such stretches fit into the past that was asked for, more of it is looked at. A growth that is not seen to come again
even so may as well be over: its slowest rate is none.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgvigil.model.series import Point
from pgvigil.track import FRACTION
from pgvigil.units import format_duration

FEWEST = 5  # points: a slope through fewer is a guess
_MOST = 240  # points, evenly thinned: all pairs of them are 30,000 slopes
_REST = 0.1  # of the mean rate; what grows more slowly rests
_APART = 2  # rests: so far apart that a pair saw as much work as rest, whenever it began
_PASTS = (1, 2, 4, 8)  # times the past that was asked for: a day, and at most the week before it


class Increase(NamedTuple):
    """How much a counter grew, and over what time; `per_s` is its mean rate."""

    value: float
    elapsed_s: float

    @property
    def per_s(self) -> float:
        return self.value / self.elapsed_s


class Trend(NamedTuple):
    """Change per second, with its bounds, as `points` over `span_s` show it."""

    per_s: float
    low_per_s: float
    high_per_s: float
    points: int
    span_s: float


class Eta(NamedTuple):
    """When a limit is reached, in seconds from the last point. None: at that end of the uncertainty, never."""

    likely_s: float
    soonest_s: float
    latest_s: float | None

    @property
    def words(self) -> str:
        """For people: `in 5d (3d to 9d)`."""
        latest = "never" if self.latest_s is None else format_duration(self.latest_s)
        likely, soonest = format_duration(self.likely_s), format_duration(self.soonest_s)
        return f"in {likely}" if likely == soonest == latest else f"in {likely} ({soonest} to {latest})"


def recent(points: Sequence[Point], within_s: float) -> Sequence[Point]:
    """The points of the last `within_s` before the last one, that one included."""
    if not points:
        return ()
    since: datetime = points[-1].at - timedelta(seconds=within_s)
    return [point for point in points if point.at >= since]


def increase(points: Sequence[Point], within_s: float) -> Increase | None:
    """How much a counter grew in at most the last `within_s`; None without two points.

    A value below the one before is a restart from zero: what came before it in that step is not known, and not
    counted.
    """
    chosen = recent(points, within_s)
    if len(chosen) < 2 or chosen[-1].at <= chosen[0].at:
        return None
    pairs = pairwise(chosen)
    grown = sum(new.value - old.value if new.value >= old.value else new.value for old, new in pairs)
    return Increase(grown, (chosen[-1].at - chosen[0].at).total_seconds())


def trend(points: Sequence[Point], within_s: float, fewest: int = FEWEST) -> Trend | None:
    """The robust slope over at most the last `within_s`, or up to eight times that where growth rests for so long
    that its rhythm cannot be seen in less; None with fewer than `fewest` points.
    """
    chosen = recent(points, within_s)
    if len(chosen) < max(fewest, 2) or chosen[-1].at <= chosen[0].at:
        return None
    for times in _PASTS:
        curve = _curve(recent(points, times * within_s))
        apart_s = _APART * _longest_rest_s(curve)
        if 2 * apart_s <= curve.at_s[-1]:
            return _slope(curve, apart_s)
    slope = _slope(_curve(chosen), 0.0)
    return slope._replace(low_per_s=min(slope.low_per_s, 0.0))


class _Curve(NamedTuple):
    """Seconds since the first point, and the values."""

    at_s: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]


def _curve(points: Sequence[Point]) -> _Curve:
    """Evenly thinned to what can be compared pair by pair."""
    thin = np.unique(np.linspace(0, len(points) - 1, min(len(points), _MOST)).astype(int))
    at_s = np.array([(points[i].at - points[0].at).total_seconds() for i in thin])
    return _Curve(at_s, np.array([points[i].value for i in thin], dtype=float))


def _longest_rest_s(curve: _Curve) -> float:
    """The longest stretch of steps that all grew less than a tenth of the mean; 0 where nothing grew on the whole."""
    at_s, values = curve
    mean_per_s = (values[-1] - values[0]) / at_s[-1]
    if mean_per_s <= 0:
        return 0.0
    took_s = np.diff(at_s)
    longest_s = lasted_s = 0.0
    for took, rests in zip(took_s, np.diff(values) < _REST * mean_per_s * took_s, strict=True):
        lasted_s = lasted_s + float(took) if rests else 0.0
        longest_s = max(longest_s, lasted_s)
    return longest_s


def _slope(curve: _Curve, apart_s: float) -> Trend:
    """Through the pairs that are at least `apart_s` apart, of which the first and the last are always one."""
    at_s, values = curve
    first, second = np.triu_indices(len(at_s), k=1)
    far = at_s[second] - at_s[first] >= apart_s
    first, second = first[far], second[far]
    slopes = (values[second] - values[first]) / (at_s[second] - at_s[first])
    stands_for_s = _stands_for_s(at_s)
    weights = stands_for_s[first] * stands_for_s[second]
    low, middle, high = np.quantile(slopes, (0.1, 0.5, 0.9), weights=weights, method="inverted_cdf")
    return Trend(float(middle), float(low), float(high), len(at_s), float(at_s[-1]))


def _stands_for_s(at_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Half the time to each neighbour; at the rim of a gap no more than the thinning may have made of it."""
    apart = np.diff(at_s)
    around = (np.append(apart[:1], apart) + np.append(apart, apart[-1:])) / 2
    stands_for_s: npt.NDArray[np.float64] = np.minimum(around, at_s[-1] / FRACTION)
    return stands_for_s


def eta(value: float, limit: float, slope: Trend | None) -> Eta | None:
    """When a growing value reaches `limit`; None where it does not grow, or nothing is known of its slope."""
    left = limit - value
    if slope is None or slope.per_s <= 0:
        return None
    if left <= 0:
        return Eta(0.0, 0.0, 0.0)
    latest = left / slope.low_per_s if slope.low_per_s > 0 else None
    return Eta(left / slope.per_s, left / slope.high_per_s, latest)
