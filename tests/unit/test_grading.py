"""Thresholds are compared in one way."""

import pytest

from alerts.grading import counted, grade
from pgvigil.model.level import Level
from pgvigil.plugins import NumberParams


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (10.0, Level.CRITICAL),
        (9.9, Level.WARNING),
        (3.0, Level.WARNING),
        (2.9, Level.HOLD),
        (1.0, None),
        (0.0, None),
    ],
)
def test_a_level_begins_at_its_threshold_and_clear_itself_is_recovered(
    value: float, level: Level | None
) -> None:
    assert grade(value, NumberParams(warning=3, critical=10, clear=1)) is level


def test_without_clear_there_is_no_band_to_hold_in() -> None:
    assert grade(2.9, NumberParams(warning=3)) is None


def test_a_level_that_is_switched_off_is_never_reached() -> None:
    assert grade(1e9, NumberParams(warning=3)) is Level.WARNING
    assert grade(9, NumberParams(critical=10, clear=1)) is Level.HOLD


def test_numbers_of_things_read_as_people_write_them() -> None:
    assert [counted(1, "session"), counted(2000, "session"), counted(2, "index", "indexes")] == [
        "1 session",
        "2,000 sessions",
        "2 indexes",
    ]


@pytest.mark.parametrize(
    ("value", "level"),
    [(1.0, Level.CRITICAL), (3.0, Level.WARNING), (9.9, Level.HOLD), (10.0, None), (11.0, None)],
)
def test_where_small_is_bad_everything_is_the_other_way_round(value: float, level: Level | None) -> None:
    params = NumberParams.model_construct(critical=1, warning=3, clear=10)
    assert grade(value, params, below=True) is level
