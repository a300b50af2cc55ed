"""Times of the week, by the clock of a place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_S = 7 * 86_400.0
FAR_S = 2 * LONGEST_S
_DAY = timedelta(days=1)
_REACH = 9  # days before and after now that can matter: the longest, a day of zones, and the week between two


class Span(NamedTuple):
    """From `begins` until just before `ends`, both aware UTC."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """On `days` (Monday is 0) from `begins` until `ends`, by the clock of `zone`; or for `lasts_s` seconds of real time.

    An end at or before the beginning is on the next day; without any end it is midnight. A time that a change of
    clocks leaves out counts with the offset before it, and of one that comes twice the first counts (as RFC 5545 has it).
    """

    days: frozenset[int]
    begins: time
    ends: time | None = None
    lasts_s: float | None = None
    zone: ZoneInfo

    def during(self, now: datetime) -> Span | None:
        """The time that `now` is in; of several the one that ends last."""
        found = [span for span in self._spans(now) if span.begins <= now < span.ends]
        return max(found, key=lambda span: span.ends, default=None)

    def next(self, now: datetime) -> Span | None:
        """The first that begins after `now`."""
        return next((span for span in self._spans(now) if span.begins > now), None)

    def last(self, now: datetime) -> Span | None:
        """The last that has ended by `now`, of those of the last week."""
        return max(
            (span for span in self._spans(now) if span.ends <= now), key=lambda span: span.ends, default=None
        )

    def _spans(self, now: datetime) -> Iterator[Span]:
        today = now.astimezone(self.zone).date()
        for offset in range(-_REACH, _REACH + 1):
            day = today + offset * _DAY
            if day.weekday() in self.days:
                span = self._on(day)
                if span.begins < span.ends:
                    yield span

    def _on(self, day: date) -> Span:
        begins = self._instant(day, self.begins)
        if self.lasts_s is not None:
            return Span(begins, begins + timedelta(seconds=self.lasts_s))
        ends = self.ends or time(0)
        return Span(begins, self._instant(day if ends > self.begins else day + _DAY, ends))

    def _instant(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, tzinfo=self.zone).astimezone(UTC)

    def __str__(self) -> str:
        """For people, such as "mon-fri 22:00-07:00 Europe/Vienna"."""
        if self.lasts_s is not None:
            hours = f"{self.begins:%H:%M} for {self.lasts_s / 3600:g}h"
        elif self.begins == time(0) and self.ends is None:
            hours = "all day"
        else:
            hours = f"{self.begins:%H:%M}-{self.ends or time(0):%H:%M}"
        return f"{_days_text(self.days)} {hours} {self.zone.key}"


def merged_until(schedules: Iterable[Schedule], now: datetime) -> datetime | None:
    """When the first moment outside all of them comes; None when `now` is outside.

    Those that follow each other without a gap are one; looked at for FAR_S, so that what never ends has an end as well.
    """
    each = tuple(schedules)
    until = now
    while True:
        spans = [span for one in each if (span := one.during(until)) is not None]
        if not spans:
            return until if until > now else None
        until = max(span.ends for span in spans)
        if until - now > timedelta(seconds=FAR_S):
            return until


def days_of(words: Iterable[str]) -> frozenset[int]:
    """From "mon", "sat", "mon-fri", "fri-mon". Raises ValueError."""
    found: set[int] = set()
    for word in words:
        first, dash, last = word.strip().lower().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{word!r} is no day; write {', '.join(DAYS)}, or a range such as mon-fri")
        begin = DAYS.index(first)
        count = (DAYS.index(last) - begin) % 7 + 1 if dash else 1
        found.update((begin + step) % 7 for step in range(count))
    if not found:
        raise ValueError("name at least one day")
    return frozenset(found)


def _days_text(days: frozenset[int]) -> str:
    """As people write them: runs of three and more as a range."""
    if len(days) == len(DAYS):
        return "daily"
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[day] for day in run)
        for run in runs
    )
