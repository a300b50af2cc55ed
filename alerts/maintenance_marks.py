"""Maintenance that somebody says in the target itself: a silence for as long as the mark is there, and never for long."""

import glob
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alerts.silences import LONGEST_CRITICAL_S, SilenceRefusedError, Silences
from pgvigil.model.incident import Incident
from pgvigil.model.silence import Silence
from pgvigil.postgres.databases import MAINTENANCE
from pgvigil.text import one_line
from pgvigil.units import format_duration

AUTHOR = "mark of "  # with spaces, which no name of a person or token has
GONE, DROPPED = "the mark is gone", "configuration"
MOST_OF_TARGET = 5  # silences at a time
APART = timedelta(minutes=30)  # marks that follow each other sooner are one, for how long they may hold
_UNTIL = re.compile(r"(?:^|\s)until=(\S*)")
_REASON = re.compile(r"(?:^|\s)reason=(.*)", re.DOTALL)

Source = tuple[str, str]  # target, and "comment" or "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """`text` is what is said, from the word on; all of it is by somebody else. `role` said it, or may have. It keeps the
    target quiet for `most_s` at most.
    """

    target: str
    by: str
    database: str
    role: str
    text: str
    most_s: float

    @property
    def identity(self) -> str:
        """The same for as long as the same is said at the same place."""
        said = f"{self.database}\0{self.role}\0{self.text}"
        return f"{self.by} {self.target} {hashlib.sha256(said.encode(errors='replace')).hexdigest()[:16]}"

    @property
    def until(self) -> datetime | None:
        """What it says of its end; UTC where it names no zone. Raises ValueError."""
        said = _UNTIL.search(self._words)
        if said is None:
            return None
        try:
            at = datetime.fromisoformat(said[1])
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"until={one_line(said[1], 40)} is no stamp; write 2026-11-24T03:00Z") from None

    @property
    def reason(self) -> str:
        """Its own words, and where it stands."""
        words = _UNTIL.sub("", self._words)
        said = _REASON.search(words)
        own = one_line(words if said is None else said[1], 200).strip("\"' ") or "maintenance"
        return f"{own} ({self.place})"

    @property
    def place(self) -> str:
        database = one_line(self.database, 63)
        if self.by == "comment":
            return f"comment on database {database}"
        return f"application_name of a session in {database}"

    @property
    def author(self) -> str:
        return f"{AUTHOR}{one_line(self.role, 63)}"

    @property
    def match(self) -> tuple[tuple[str, str], ...]:
        return (("target", glob.escape(self.target)),)

    @property
    def _words(self) -> str:
        return self.text.partition(MAINTENANCE)[2]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A mark that keeps nothing quiet, and why."""

    mark: Mark
    why: str
    forgotten: bool = False


class MaintenanceMarks:
    """For one thread. Which mark a silence is by is in the store with it, so a restart makes no second one; where nobody
    can look, what holds goes on holding until its end.
    """

    def __init__(self, silences: Silences, open_incidents: Callable[[], Iterable[Incident]]) -> None:
        self._silences = silences
        self._open = open_incidents
        self.doubts: tuple[Doubt, ...] = ()

    def look(self, seen: Mapping[Source, Sequence[Mark] | None], now: datetime) -> bool:
        """Begin and end silences by what is `seen` where marks count; None where nobody could look yet. Returns whether
        anything changed. Raises StoreError.
        """
        before = self._silences.all
        present = {mark.identity: mark for marks in seen.values() for mark in marks or ()}
        for one in before:
            if one.mark is not None and one.mark not in present:
                self._ended(one, one.mark, seen, now)
        doubts = [self._kept(mark, now) for mark in present.values()]
        self.doubts = tuple(doubt for doubt in doubts if doubt is not None)
        return self._silences.all != before

    def _ended(
        self, silence: Silence, mark: str, seen: Mapping[Source, Sequence[Mark] | None], now: datetime
    ) -> None:
        by, target, _ = mark.split(" ")
        if (target, by) not in seen:
            self._silences.release(silence.id, DROPPED, now)
        elif seen[target, by] is not None:
            self._silences.release(silence.id, GONE, now)

    def _kept(self, mark: Mark, now: datetime) -> Doubt | None:
        try:
            until = mark.until
        except ValueError as error:
            return Doubt(mark, str(error))
        silence = next((one for one in self._silences.all if one.mark == mark.identity), None)
        if until is not None and until <= now:
            return None
        if silence is None:
            return self._begin(mark, until, now)
        if silence.expired_by is None and not silence.active(now):
            return Doubt(mark, f"{silence.name} ended after {_lasted(silence)}", forgotten=True)
        return None

    def _begin(self, mark: Mark, until: datetime | None, now: datetime) -> Doubt | None:
        earlier = [
            one for one in self._silences.all if one.author.startswith(AUTHOR) and one.match == mark.match
        ]
        if sum(one.active(now) for one in earlier) >= MOST_OF_TARGET:
            return Doubt(mark, f"{MOST_OF_TARGET} marks keep it quiet already")
        longest = _since(earlier, now) + timedelta(seconds=LONGEST_CRITICAL_S)
        ends_at = min(now + timedelta(seconds=mark.most_s), longest, until or longest)
        if ends_at <= now:
            return Doubt(
                mark,
                f"marks have kept it quiet for {format_duration(LONGEST_CRITICAL_S)} already: not for half an hour",
            )
        silence = Silence(
            id=0,
            match=mark.match,
            author=mark.author,
            reason=mark.reason,
            created_at=now,
            ends_at=ends_at,
            mark=mark.identity,
        )
        try:
            self._silences.add(silence, self._open)
        except SilenceRefusedError as error:
            return Doubt(mark, str(error))
        return None


def _since(earlier: Iterable[Silence], now: datetime) -> datetime:
    """Since when marks have kept the target quiet, almost without a gap."""
    begins = now
    for one in sorted(earlier, key=lambda one: one.expired_at or one.ends_at, reverse=True):
        if (one.expired_at or one.ends_at) + APART >= begins:
            begins = min(begins, one.created_at)
    return begins


def _lasted(silence: Silence) -> str:
    return format_duration((silence.ends_at - silence.created_at).total_seconds())
