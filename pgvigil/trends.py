"""Where a value is going: how much a counter grew, how fast a gauge moves, and when it reaches a limit.

Slopes are robust: the median of the slopes between all pairs of points (Theil 1950, Sen 1968), which a burst or a
dip of less than a quarter of the time does not move. Points are the fewer the older they are, so each stands for the
time around it: a pair counts as the product of the two. Their uncertainty is the middle 80 % of those slopes: no
textbook interval, since readings of one server are not independent, but what the past really did.
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
        return f"in {format_duration(self.likely_s)} ({format_duration(self.soonest_s)} to {latest})"


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
    """The robust slope over at most the last `within_s`; None with fewer than `fewest` points."""
    chosen = recent(points, within_s)
    if len(chosen) < max(fewest, 2) or chosen[-1].at <= chosen[0].at:
        return None
    span_s = (chosen[-1].at - chosen[0].at).total_seconds()
    thin = np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST)).astype(int))
    at_s = np.array([(chosen[i].at - chosen[0].at).total_seconds() for i in thin])
    values = np.array([chosen[i].value for i in thin], dtype=float)
    first, second = np.triu_indices(len(thin), k=1)
    slopes = (values[second] - values[first]) / (at_s[second] - at_s[first])
    stands_for_s = _stands_for_s(at_s)
    weights = stands_for_s[first] * stands_for_s[second]
    low, middle, high = np.quantile(slopes, (0.1, 0.5, 0.9), weights=weights, method="inverted_cdf")
    return Trend(float(middle), float(low), float(high), len(chosen), span_s)


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
