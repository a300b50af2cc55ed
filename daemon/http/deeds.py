"""What people did and do, as the page shows it: silences, markers, and their words on an incident."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.http.pressing import UNTIL_RESOLVED
from daemon.http.sources import Silencing
from pgvigil.model.action import FEEDBACK, Action
from pgvigil.model.marker import Marker
from pgvigil.model.silence import Silence

DURATIONS = (
    ("30m", "30 minutes"),
    ("1h", "1 hour"),
    ("4h", "4 hours"),
    ("8h", "8 hours"),
    ("24h", "24 hours"),
    ("7d", "7 days"),
    (UNTIL_RESOLVED, "until it is resolved"),
)
MARKED = timedelta(days=1)
MOST_MARKERS = 10


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """One that holds, with the names of the open incidents that it keeps quiet."""

    silence: Silence
    hides: tuple[str, ...]

    @property
    def matches(self) -> tuple[str, ...]:
        return tuple(f"{key}={pattern}" for key, pattern in self.silence.match)


def silence_rows(silencing: Silencing, now: datetime) -> tuple[SilenceRow, ...]:
    """Those that hold now, the newest first."""
    found = silencing.open()
    return tuple(
        SilenceRow(one, tuple(each.name for each in found if each.silenced_by == one.name))
        for one in silencing.silences.all
        if one.active(now)
    )


def newest(markers: Sequence[Marker], now: datetime) -> tuple[Marker, ...]:
    """Those of the last day, the newest first."""
    return tuple(reversed([one for one in markers if one.at >= now - MARKED][-MOST_MARKERS:]))


def said_of(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Of each person the last word on whether it was of use."""
    return tuple({one.actor.name: one for one in actions if one.kind in FEEDBACK}.values())
