"""How a value went: few points, no peak lost, drawn by time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.course import MOST, WIDTH, Course, drawn, grown, heights
from alerts.render import course_of
from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from pgvigil.store import Store
from tests.unit.alerts.acting import finding
from tests.unit.alerts.world import World, rule

START = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def course(*values: float | None) -> Course:
    """A value each minute."""
    found: Course = ()
    for minute, value in enumerate(values):
        found = grown(found, at(minute), value)
    return found


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=400))
def test_it_stays_small_and_keeps_its_peak_and_its_ends(values: list[float]) -> None:
    found = course(*values)
    assert len(found) <= MOST
    assert (found[0].value, found[-1].value) == (values[0], values[-1])
    kept = [point.value for point in found]
    assert (min(kept), max(kept)) == (min(values), max(values))
    assert [point.at for point in found] == sorted({point.at for point in found})


@pytest.mark.parametrize("first", [0, 1])
def test_what_swings_between_two_values_is_drawn_at_every_length(first: int) -> None:
    """Thinned to the larger of each two it would be a line at the top."""
    for length in range(3, 600):
        found = course(*(float((first + place) % 2) for place in range(length)))
        assert {point.value for point in (found if length < 5 else found[1:-1])} == {0.0, 1.0}
        assert len(drawn(found, at(length))) == WIDTH


@given(st.lists(st.floats(0, 1e9), min_size=3, max_size=200, unique=True), st.integers(0, 500))
def test_what_is_drawn_reaches_from_the_least_to_the_largest(values: list[float], later: int) -> None:
    found = course(*values)
    steps = heights(found, at(len(values) + later))
    assert len(steps) == WIDTH
    assert all(0 <= each <= 1 for each in steps)
    assert max(steps) == 1


@pytest.mark.parametrize("hostile", [None, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_no_point(hostile: float | None) -> None:
    assert course(1.0, hostile, 2.0) == (Point(at(0), 1.0), Point(at(2), 2.0))


def test_the_same_again_is_no_point() -> None:
    assert course(1.0, 1.0, 1.0, 2.0, 1.0) == (Point(at(0), 1.0), Point(at(3), 2.0), Point(at(4), 1.0))


def test_a_value_holds_until_the_next_one() -> None:
    """A minute at the top, an hour in the middle: by time, and not by points."""
    steps = drawn((Point(at(0), 0.0), Point(at(1), 10.0), Point(at(2), 5.0)), at(60))
    assert steps == "█" + "▅" * (WIDTH - 1)


def test_too_little_is_not_drawn() -> None:
    assert drawn((), at(1)) == drawn(course(1.0), at(5)) == drawn(course(1.0, 2.0), at(5)) == ""
    assert drawn(course(1.0, 2.0, 3.0), at(0)) == ""


def slow(mean_s: float) -> Finding:
    return finding("slow_query", "statement 7", Level.WARNING, value=mean_s)


def test_an_incident_keeps_its_course_from_the_first_sight_on_also_over_a_restart(store: Store) -> None:
    world = World(store)
    for mean_s in (1.0, 2.0, 4.0):
        world.read(60, "slow_query", slow(mean_s))
    world.restart(30)
    world.read(60, "slow_query", slow(3.0))
    incident = world.incident("slow_query")
    assert [point.value for point in incident.evidence.course] == [1.0, 2.0, 4.0, 3.0]
    assert course_of(incident).endswith("█▆ 1s to 4s")
    assert world.stored(incident).evidence.course == incident.evidence.course


def test_what_comes_back_later_begins_anew(store: Store) -> None:
    world = World(store)
    world.rules["slow_query"] = rule("slow_query")
    world.restart(0)
    for mean_s in (1.0, 2.0):
        world.read(60, "slow_query", slow(mean_s))
    world.read(60, "slow_query")
    world.read(60, "slow_query", slow(9.0))
    assert [point.value for point in world.incident("slow_query").evidence.course] == [9.0]
