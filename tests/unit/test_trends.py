"""Where a value is going: robust slopes, their uncertainty, and counters that restart."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from pgvigil.model.series import Point
from pgvigil.trends import Trend, eta, increase, trend

BEGAN = datetime(2026, 11, 23, tzinfo=UTC)


def points(values: Sequence[float], every_s: float = 60.0) -> list[Point]:
    return [Point(BEGAN + timedelta(seconds=i * every_s), value) for i, value in enumerate(values)]


def test_a_counter_grows_by_its_steps_and_restarts_from_zero() -> None:
    grown = increase(points([10, 15, 2, 4]), 3600)
    assert grown is not None
    assert (grown.value, grown.elapsed_s) == (5 + 2 + 2, 180)


def test_only_the_last_stretch_counts() -> None:
    grown = increase(points([0, 100, 101, 102]), 120)
    assert grown is not None
    assert (grown.value, grown.per_s) == (2, 2 / 120)


def test_one_point_says_nothing() -> None:
    assert increase(points([7]), 60) is None
    assert trend(points([7, 8, 9, 10]), 3600) is None  # too few for a slope


def test_a_burst_does_not_move_the_slope() -> None:
    values = [float(i) for i in range(40)]
    values[10:14] = [500.0] * 4
    slope = trend(points(values), 86_400)
    assert slope is not None
    assert slope.per_s == pytest.approx(1 / 60, rel=0.05)


def test_a_steady_slope_has_no_uncertainty_and_a_wild_one_has() -> None:
    steady = trend(points([float(i) for i in range(20)]), 86_400)
    wild = trend(points([float(i + (i % 3) * 8) for i in range(20)]), 86_400)
    assert steady is not None
    assert wild is not None
    assert steady.high_per_s - steady.low_per_s == pytest.approx(0)
    assert wild.high_per_s - wild.low_per_s > 0


def test_the_time_to_a_limit_has_its_bounds() -> None:
    when = eta(80, 100, Trend(0.2, 0.1, 0.4, 10, 600))
    assert when is not None
    assert (when.likely_s, when.soonest_s, when.latest_s) == (100, 50, 200)
    assert when.words == "in 1m40s (50s to 3m20s)"


def test_what_may_stand_still_has_no_latest_time() -> None:
    when = eta(80, 100, Trend(0.2, -0.1, 0.4, 10, 600))
    assert when is not None
    assert when.latest_s is None
    assert when.words.endswith("to never)")


@pytest.mark.parametrize("slope", [None, Trend(0, 0, 0, 10, 600), Trend(-1, -2, 0, 10, 600)])
def test_what_does_not_grow_never_gets_there(slope: Trend | None) -> None:
    assert eta(80, 100, slope) is None


def test_what_is_there_is_there() -> None:
    when = eta(100, 100, Trend(1, 1, 1, 10, 600))
    assert when is not None
    assert when.likely_s == 0
