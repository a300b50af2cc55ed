"""Maintenance windows: a silence at each of their times, and never one too many or too long."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts.maintenance import Maintenance, Window, too_long
from alerts.silences import MOST_ACTIVE, Silences
from pgvigil.model.schedule import Schedule
from pgvigil.store import Store
from tests.support.views import incident

VIENNA = ZoneInfo("Europe/Vienna")
SUNDAY = datetime(2026, 11, 29, 1, 30, tzinfo=UTC)  # 02:30 in Vienna
MINUTE, HOUR, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=7)


def window(**more: Any) -> Window:
    times = {"days": frozenset({6}), "begins": time(2), "lasts_s": 7200.0, "zone": VIENNA}
    schedule = Schedule(**{**times, **{key: more.pop(key) for key in [*more] if key in (*times, "ends")}})
    plain = {"name": "weekly", "match": (("target", "orders-*"),), "reason": "pg_repack"}
    return Window(schedule=schedule, **{**plain, **more})


class Office:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.restart()

    def restart(self) -> None:
        self.silences = Silences(self.store.silences)
        self.maintenance = Maintenance(self.silences, list)

    def look(self, now: datetime, *windows: Window) -> list[str]:
        """The silences that hold then."""
        self.maintenance.look(windows, now)
        return [one.name for one in self.silences.all if one.active(now)]


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def test_each_time_is_one_silence_with_author_reason_and_end(office: Office) -> None:
    assert office.look(SUNDAY - 31 * MINUTE, window()) == []
    assert office.look(SUNDAY - 30 * MINUTE, window()) == ["SIL-1"]
    (made,) = office.silences.all
    assert (made.author, made.reason) == ("maintenance weekly", "pg_repack")
    assert made.ends_at == SUNDAY + 90 * MINUTE
    assert office.silences.covering(incident(target="orders-prod"), SUNDAY) == made
    assert office.silences.covering(incident(target="billing"), SUNDAY) is None
    assert office.look(SUNDAY + 89 * MINUTE, window()) == ["SIL-1"]
    assert office.look(SUNDAY + 90 * MINUTE, window()) == []
    assert office.look(SUNDAY + WEEK, window()) == ["SIL-2"]


def test_a_restart_makes_no_second_one(office: Office) -> None:
    office.look(SUNDAY, window())
    office.restart()
    assert office.look(SUNDAY + MINUTE, window()) == ["SIL-1"]


def test_one_that_somebody_expired_does_not_come_back_until_the_next_time(office: Office) -> None:
    office.look(SUNDAY, window())
    office.silences.expire(1, "ana", SUNDAY)
    assert office.look(SUNDAY + MINUTE, window()) == []
    office.restart()
    assert office.look(SUNDAY + HOUR, window()) == []
    assert office.look(SUNDAY + WEEK, window()) == ["SIL-2"]


def test_what_the_configuration_no_longer_says_ends_and_what_it_says_anew_begins(office: Office) -> None:
    office.look(SUNDAY, window())
    assert office.look(SUNDAY, window(match=(("target", "billing"),))) == ["SIL-2"]
    assert office.look(SUNDAY) == []
    assert {one.expired_by for one in office.silences.all} == {"configuration"}
    assert office.look(SUNDAY, window()) == ["SIL-3"]


def test_silences_of_people_are_left_alone(office: Office) -> None:
    made = window().silence(SUNDAY)
    assert made is not None
    office.store.silences.add(replace(made, author="ana"))
    office.restart()
    assert office.look(SUNDAY) == ["SIL-1"]


def test_where_there_are_too_many_it_says_so(office: Office) -> None:
    made = window().silence(SUNDAY)
    assert made is not None
    for _ in range(MOST_ACTIVE):
        office.store.silences.add(replace(made, author="ana"))
    office.restart()
    office.look(SUNDAY, window())
    assert "200 silences already" in office.maintenance.refused["weekly"]
    office.look(SUNDAY)
    assert office.maintenance.refused == {}


def test_the_day_of_25_hours_is_quiet_for_24(office: Office) -> None:
    """In Vienna clocks go back on 25 October 2026."""
    all_day = window(begins=time(0), lasts_s=None)
    made = all_day.silence(datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert made is not None
    assert made.ends_at - made.created_at == 24 * HOUR
    assert office.look(datetime(2026, 10, 25, 12, tzinfo=UTC), all_day) == ["SIL-1"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, ""),
        ({"lasts_s": 86_400.0}, ""),
        ({"lasts_s": 90_000.0}, "at most 1d at a time where it could hide what is critical"),
        ({"days": frozenset(range(7)), "begins": time(0), "lasts_s": None}, "at most 1d at a time"),
        ({"days": frozenset({5, 6}), "begins": time(0), "lasts_s": None}, "at most 1d at a time"),
        ({"days": frozenset({5, 6}), "lasts_s": 86_400.0, "match": (("severity", "warning"),)}, ""),
        (
            {"days": frozenset(range(7)), "lasts_s": 86_400.0, "match": (("severity", "warning"),)},
            "at most 7d at a time",
        ),
    ],
)
def test_nothing_is_kept_quiet_for_ever(more: dict[str, Any], said: str) -> None:
    """Times without a gap between them are one."""
    found = too_long(window(**more), datetime(2026, 1, 4, 22, tzinfo=UTC))
    assert found.startswith(said)
    assert bool(found) == bool(said)
