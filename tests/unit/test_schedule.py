"""Times of the week by the clock of a place, also when clocks change."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgvigil.model.schedule import FAR_S, Schedule, Span, days_of, merged_until

VIENNA = ZoneInfo("Europe/Vienna")  # UTC+1, UTC+2 from 2026-03-29 to 2026-10-25
EVERY = frozenset(range(7))


def schedule(begins: str = "00:00", ends: str | None = None, **changes: Any) -> Schedule:
    values = {"days": EVERY, "zone": VIENNA} | changes
    return Schedule(
        begins=time.fromisoformat(begins), ends=None if ends is None else time.fromisoformat(ends), **values
    )


def at(text: str, zone: ZoneInfo = VIENNA) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def span(begins: str, ends: str) -> Span:
    return Span(*(datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (begins, ends)))


def test_a_night_ends_on_the_next_day_and_belongs_to_the_day_on_which_it_begins() -> None:
    night = schedule("22:00", "07:00", days=days_of(["fri"]))
    assert night.during(at("2026-11-27T21:59:59")) is None
    assert night.during(at("2026-11-27T22:00")) == span("2026-11-27T21:00", "2026-11-28T06:00")
    assert night.during(at("2026-11-28T06:59:59")) == span("2026-11-27T21:00", "2026-11-28T06:00")
    assert night.during(at("2026-11-28T07:00")) is None
    assert night.during(at("2026-11-27T06:00")) is None, "Thursday's night is not muted"


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-27", 9), ("2026-03-28", 8), ("2026-10-23", 9), ("2026-10-24", 10)],
)
def test_a_night_lasts_as_long_as_its_clock_says(day: str, hours: int) -> None:
    """22:00 to 07:00 is an hour shorter or longer where clocks change."""
    found = schedule("22:00", "07:00").during(at(f"{day}T23:00"))
    assert found is not None
    assert found.ends - found.begins == timedelta(hours=hours)
    assert found.ends.astimezone(VIENNA).time() == time(7)


def test_a_duration_is_real_time() -> None:
    found = schedule("22:00", lasts_s=9 * 3600.0).during(at("2026-03-28T23:00"))
    assert found is not None
    assert found.ends.astimezone(VIENNA).time() == time(8)


def test_a_time_that_is_left_out_or_comes_twice_has_one_meaning() -> None:
    spring = schedule("02:30", lasts_s=3600.0)
    assert spring.during(at("2026-03-29T03:30")) == span("2026-03-29T01:30", "2026-03-29T02:30")
    autumn = schedule("02:30", "03:30")
    assert autumn.during(datetime(2026, 10, 25, 1, 0, tzinfo=UTC)) == span(
        "2026-10-25T00:30", "2026-10-25T02:30"
    )


def test_a_time_that_clocks_swallow_whole_is_no_time() -> None:
    swallowed = schedule("02:30", "03:00")
    day = [at("2026-03-29T00:00") + timedelta(minutes=10) * step for step in range(144)]
    assert [swallowed.during(moment) for moment in day] == [None] * 144


def test_next_and_last() -> None:
    sunday = schedule("03:00", lasts_s=7200.0, days=days_of(["sun"]))
    now = at("2026-11-25T12:00")
    assert sunday.next(now) == span("2026-11-29T02:00", "2026-11-29T04:00")
    assert sunday.last(now) == span("2026-11-22T02:00", "2026-11-22T04:00")
    inside = at("2026-11-29T03:30")
    assert sunday.next(inside) == span("2026-12-06T02:00", "2026-12-06T04:00")


def test_hours_that_follow_each_other_are_one() -> None:
    weekend, nights = schedule(days=days_of(["sat", "sun"])), schedule("19:00", "07:00")
    assert merged_until([weekend, nights], at("2026-11-27T21:00")) == at("2026-11-30T07:00")
    assert merged_until([weekend, nights], at("2026-11-30T07:00")) is None
    assert merged_until([], at("2026-11-30T07:00")) is None


def test_what_never_ends_is_looked_at_for_a_while() -> None:
    now = at("2026-11-27T21:00")
    until = merged_until([schedule()], now)
    assert until is not None
    assert until - now > timedelta(seconds=FAR_S)


@pytest.mark.parametrize(
    ("words", "days"),
    [(["mon"], {0}), (["fri-mon"], {4, 5, 6, 0}), (["Sat", "sun"], {5, 6}), (["mon-sun"], {*range(7)})],
)
def test_days(words: list[str], days: set[int]) -> None:
    assert days_of(words) == days


@pytest.mark.parametrize("words", [["monday"], ["mon-"], ["mon-x"], [""], []])
def test_what_is_no_day_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="day"):
        days_of(words)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (
            schedule("22:00", "07:00", days=days_of(["mon-thu", "sun"])),
            "mon-thu,sun 22:00-07:00 Europe/Vienna",
        ),
        (schedule(days=days_of(["sat", "sun"])), "sat,sun all day Europe/Vienna"),
        (schedule("03:00", lasts_s=5400.0), "daily 03:00 for 1.5h Europe/Vienna"),
        (schedule("20:00"), "daily 20:00-00:00 Europe/Vienna"),
    ],
)
def test_in_words(one: Schedule, text: str) -> None:
    assert str(one) == text


@given(
    st.integers(0, 2 * 366 * 86_400),
    st.times(),
    st.none() | st.times(),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.sampled_from(["Europe/Vienna", "America/St_Johns", "Pacific/Chatham", "UTC", "Australia/Lord_Howe"]),
)
def test_what_is_said_of_now_agrees(
    second: int, begins: time, ends: time | None, days: frozenset[int], zone: str
) -> None:
    """The span that now is in holds it, the last is over, the next begins later, and none overlaps now unnoticed."""
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    one = Schedule(days=days, begins=begins, ends=ends, zone=ZoneInfo(zone))
    during, following, last = one.during(moment), one.next(moment), one.last(moment)
    assert during is None or during.begins <= moment < during.ends
    assert following is not None
    assert following.begins > moment
    assert last is None or last.ends <= moment
    assert one.during(following.begins) is not None
