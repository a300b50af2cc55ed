"""The points of one series: all recent ones, and enough of the older ones, in bounded memory."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pgvigil.model.series import Point
from pgvigil.track import FRACTION, MOST, RECENT, SPAN_S, Track
from pgvigil.trends import increase, trend

BEGAN = datetime(2026, 11, 23, tzinfo=UTC)
EVER_S = 1e9
WEEK_S = 7 * 86_400.0

# Seconds between readings, and how much a counter grew: regular ones with gaps, or any.
PACES = st.lists(
    st.tuples(st.sampled_from([0.000_001, 5.0, 60.0, 61.3, 600.0, 86_400.0]), st.integers(0, 10**12)),
    max_size=400,
) | st.tuples(st.sampled_from([10.0, 60.0, 3600.0]), st.integers(1, 900), st.integers(0, 10**9)).map(
    lambda drawn: [(drawn[0], drawn[2])] * drawn[1]
)


def readings(paces: Sequence[tuple[float, int]]) -> list[Point]:
    at, value, points = BEGAN, 0.0, []
    for apart_s, grown in paces:
        at, value = at + timedelta(seconds=apart_s), value + grown
        points.append(Point(at, value))
    return points


def track_of(points: Sequence[Point]) -> Track:
    track = Track()
    for point in points:
        track.add(point.at, point.value)
    return track


def age_s(points: Sequence[Point], of: Point) -> float:
    return (points[-1].at - of.at).total_seconds()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PACES)
def test_it_is_bounded_and_keeps_what_is_recent_in_order(paces: list[tuple[float, int]]) -> None:
    full = readings(paces)
    kept = list(track_of(full))
    assert len(kept) <= MOST
    assert kept[-RECENT:] == full[-RECENT:]
    assert set(kept) <= set(full)
    assert kept == sorted(kept)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PACES)
@example([(60.0, 7)] * 20_000)
def test_a_thinned_counter_grows_as_the_full_one(paces: list[tuple[float, int]]) -> None:
    """Between any two points that are left, and over any stretch of time: its rate is that of the points it has."""
    full = readings(paces)
    kept = list(track_of(full))
    since_first = [point for point in full if not kept or point.at >= kept[0].at]
    assert increase(kept, EVER_S) == increase(since_first, EVER_S)
    for within_s in (60.0, 3600.0, 86_400.0):
        grown = increase(kept, within_s)
        if grown is not None:
            assert grown == increase(full, grown.elapsed_s)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PACES)
@example([(60.0, 1)] * 20_000)
def test_no_stretch_of_time_is_missed_by_more_than_a_fraction_of_its_age(
    paces: list[tuple[float, int]],
) -> None:
    full = readings(paces)
    kept = list(track_of(full))
    if len(kept) > MOST - RECENT:
        return  # so many that the oldest went
    since_first = [point for point in full if point.at >= kept[0].at] if kept else []
    for each in since_first[:: max(1, len(since_first) // 200)]:
        before = max(point for point in kept if point.at <= each.at)
        assert (each.at - before.at).total_seconds() <= age_s(full, before) / FRACTION


@pytest.mark.parametrize("every_s", [10.0, 60.0, 600.0, 3600.0])
def test_thirty_days_are_remembered_and_no_more(every_s: float) -> None:
    full = readings([(every_s, 1)] * int(40 * 86_400 / every_s))
    kept = list(track_of(full))
    assert SPAN_S * 0.8 < age_s(full, kept[0]) < SPAN_S * 1.1


def test_what_is_packed_is_the_same_unpacked() -> None:
    track = track_of(readings([(0.123_457, 2**40 + 1)] * 300))
    again = Track.unpacked(track.packed())
    assert list(again) == list(track)
    assert again.last_at == track.last_at


@pytest.mark.parametrize("data", [b"", b"x" * 15, b"\0" * 32, b"\xff" * 16])
def test_what_was_never_packed_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="points"):
        Track.unpacked(data)


def test_a_clock_that_was_ahead_is_forgotten() -> None:
    """A step back of an hour costs that hour; a stamp of years ahead stands in nobody's way afterwards."""
    track = track_of(readings([(60.0, 1)] * 120))
    track.add(BEGAN + timedelta(days=4000), 1)
    track.add(BEGAN + timedelta(minutes=60, seconds=30), 200)
    track.add(BEGAN + timedelta(minutes=61, seconds=30), 201)
    kept = list(track)
    assert kept == sorted(kept)
    assert kept[-1] == Point(BEGAN + timedelta(minutes=61, seconds=30), 201)
    assert [point.value for point in kept[-3:]] == [60, 200, 201]


def test_a_slope_is_the_same_on_thinned_points() -> None:
    """Also while the last hours, of which there are many more points, do something else."""
    burst = [(60.0, 100)] * 10_000 + [(60.0, 3000)] * 300
    full = readings(burst)
    whole, thinned = trend(full, WEEK_S), trend(list(track_of(full)), WEEK_S)
    assert whole is not None
    assert thinned is not None
    assert thinned.per_s == pytest.approx(whole.per_s, rel=0.05)
    assert thinned.per_s == pytest.approx(100 / 60, rel=0.05)
