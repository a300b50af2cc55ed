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


# --- what grows in bursts -------------------------------------------------------------------------------------

HOUR_S = 3600.0
DAY_S = 86_400.0


def worked(hours: range, days: int, per_s: float = 1000.0, also: float = 0.0) -> list[Point]:
    """A counter that grows in those hours of each day, and by `also` a second in the others: every ten minutes."""
    found = [0.0]
    for i in range(days * 144):
        busy = (i // 6) % 24 in hours
        found.append(found[-1] + (per_s if busy else also) * 600)
    return points(found, 600)


@pytest.mark.parametrize("also", [0.0, 5.0], ids=["nothing", "little"])
@pytest.mark.parametrize(
    "hours", [range(2, 6), range(8, 18), range(8, 20)], ids=["at night", "by day", "twelve hours"]
)
def test_what_rests_for_half_a_day_has_a_time_of_its_end(hours: range, also: float) -> None:
    """By its mean over days, and not by the quiet hours, of which there are more."""
    slope = trend(worked(hours, 8, also=also), DAY_S)
    mean = (1000.0 * len(hours) + also * (24 - len(hours))) / 24
    assert slope is not None
    assert slope.per_s == pytest.approx(mean, rel=0.25)
    assert 0 < slope.low_per_s <= slope.per_s <= slope.high_per_s


def test_a_weekend_is_seen_in_two_weeks() -> None:
    values = [0.0]
    for hour in range(14 * 24):
        values.append(values[-1] + (3600.0 if hour // 24 % 7 < 5 else 0.0))
    slope = trend(points(values, HOUR_S), 14 * DAY_S)
    assert slope is not None
    assert slope.low_per_s > 0
    assert slope.per_s == pytest.approx(5 / 7, rel=0.2)


@pytest.mark.parametrize("at_hour", [1, 8, 12, 20])
def test_one_burst_is_no_rhythm(at_hour: int) -> None:
    """It may never come again, and nobody is woken for it."""
    slope = trend(worked(range(at_hour, at_hour + 2), 1), DAY_S)
    assert slope is not None
    assert slope.low_per_s <= 0
    when = eta(0, 1e9, slope)
    assert when is None or when.latest_s is None


def test_a_burst_long_after_the_only_other_one_is_no_rhythm() -> None:
    quiet = points([0.0] * 100 + [600.0] * 700 + [1200.0] * 10, 600)
    slope = trend(quiet, DAY_S)
    assert slope is not None
    assert slope.low_per_s <= 0


def test_what_never_rests_is_judged_by_the_past_that_was_asked_for() -> None:
    """A rate that rose an hour ago is not thinned by the days before it."""
    before = [float(i) for i in range(1000)]
    slope = trend(points([*before, *(999 + 50.0 * i for i in range(1, 121))]), 2 * HOUR_S)
    assert slope is not None
    assert slope.per_s == pytest.approx(50 / 60, rel=0.01)
    assert slope.span_s == 2 * HOUR_S
