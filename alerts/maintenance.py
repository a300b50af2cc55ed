"""Maintenance windows: silences that the configuration makes when their time begins."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.silences import LONGEST_S, SilenceRefusedError, Silences, longest_s
from pgvigil.model.incident import Incident
from pgvigil.model.schedule import Schedule, merged_until
from pgvigil.model.silence import Silence
from pgvigil.units import format_duration

AUTHOR = "maintenance "  # with a space, which no name of a person or token has
ENDED_BY = "configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is kept quiet at times of the week, and why."""

    name: str
    match: tuple[tuple[str, str], ...]
    reason: str
    schedule: Schedule

    def silence(self, now: datetime) -> Silence | None:
        """The silence of `now`, not yet stored; None outside the times. It is the same one all the time."""
        span = self.schedule.during(now)
        if span is None:
            return None
        made = Silence(
            id=0,
            match=self.match,
            author=f"{AUTHOR}{self.name}",
            reason=self.reason,
            created_at=span.begins,
            ends_at=span.begins + timedelta(seconds=LONGEST_S),
        )
        # The day on which clocks go back has 25 hours.
        ends_at = min(span.ends, span.begins + timedelta(seconds=longest_s(made)))
        return replace(made, ends_at=ends_at)


def too_long(window: Window, week: datetime) -> str:
    """Why it would hide too much, in words; "" where it would not. Times that follow each other are one."""
    end = week + timedelta(days=7)
    now, longest = week, timedelta(0)
    while (span := window.schedule.next(now)) is not None and span.begins < end:
        until = merged_until((window.schedule,), span.begins)
        longest = max(longest, (until or span.ends) - span.begins)
        now = span.begins
    during = window.silence(now)
    most_s = LONGEST_S if during is None else longest_s(during)
    if longest.total_seconds() <= most_s:
        return ""
    critical = " where it could hide what is critical; name a lower severity in match" * (most_s < LONGEST_S)
    return f"at most {format_duration(most_s)} at a time{critical}"


class Maintenance:
    """For one thread. What is under way is in the store as a silence: a restart makes no second one, and one that
    somebody expired does not come back.
    """

    def __init__(self, silences: Silences, open_incidents: Callable[[], Iterable[Incident]]) -> None:
        self._silences = silences
        self._open = open_incidents
        self.refused: dict[str, str] = {}  # by the window's name, why it has no silence

    def look(self, windows: Sequence[Window], now: datetime) -> bool:
        """Begin what begins and end what is no longer wanted. Returns whether anything changed. Raises StoreError."""
        wanted = [made for window in windows if (made := window.silence(now)) is not None]
        self.refused = {}
        before = self._silences.all
        for silence in wanted:
            if not any(_same(silence, one) for one in before):
                self._begin(silence)
        keys = {_key(silence) for silence in wanted}
        for one in before:
            if one.author.startswith(AUTHOR) and one.active(now) and _key(one) not in keys:
                self._silences.expire(one.id, ENDED_BY, now)
        return self._silences.all != before

    def _begin(self, silence: Silence) -> None:
        try:
            self._silences.add(silence, self._open)
        except SilenceRefusedError as error:
            self.refused[silence.author.removeprefix(AUTHOR)] = str(error)


def _key(silence: Silence) -> tuple[object, ...]:
    return silence.author, silence.match, silence.reason, silence.ends_at


def _same(wanted: Silence, kept: Silence) -> bool:
    """Also one that somebody expired; one that the configuration ended comes back with it."""
    return _key(wanted) == _key(kept) and kept.expired_by != ENDED_BY
