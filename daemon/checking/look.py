"""Reads one target once: its databases in turn, the server's own views twice, so that there is a change to judge."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from daemon.checking.result import NotCovered
from daemon.checking.sessions import Sessions
from daemon.clock import Now
from daemon.doctor.target import Diagnosis
from daemon.following import Following
from daemon.lanes.attempt import attempt
from daemon.lanes.lane import TARGET_WIDE
from daemon.memory import Memory
from daemon.reading import Scheduled, own_reading, read
from daemon.statements import FEED, Statements, reading_of
from pgvigil.model.availability import Availability
from pgvigil.model.facts import Facts
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import LaneKind
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.session import Session, list_databases

_AVAILABILITY = "availability"
Place = tuple[str | None, str | None]  # database, collector


@dataclass(frozen=True, slots=True)
class Taken:
    """The latest reading of one collector in one place, and the one before it."""

    reading: Snapshot[Any] | Delta[Any]
    previous: Snapshot[Any] | Delta[Any] | None
    facts: Facts | None


class Look:
    """For one thread. What could not be read is in `not_covered`; nothing here raises for the server's sake."""

    def __init__(
        self,
        target: str,
        *,
        now: Now,
        role: str = "",
        sessions: Sessions,
        scheduled: Iterable[Scheduled],
        following: Following,
        statements: Statements,
    ) -> None:
        self.taken: dict[Place, Taken] = {}
        self.not_covered: dict[Place, NotCovered] = {}
        self.diagnosis = Diagnosis(target)
        self.memory = Memory()
        self.up: bool | None = None
        self.facts: Facts | None = None
        self._target = target
        self._role = role  # who the DSN says that we are
        self._now = now
        self._sessions = sessions
        self._following = following
        self._statements = statements
        by_pace = sorted(
            scheduled, key=lambda each: each.collector.interval_s
        )  # availability is the quickest
        self._of_server = [each for each in by_pace if each.collector.lane is LaneKind.SERVER]
        self._of_databases = [each for each in by_pace if each.collector.lane is LaneKind.DATABASES]

    @property
    def database_names(self) -> Mapping[int, str]:
        return self._following.names

    def take(self, sample_s: float, wait: Callable[[float], object], *, whole: bool = False) -> None:
        """Read everything. Without a `sample_s` the views that tell only by their change are left out, unless the
        `whole` is to be read once.
        """
        if not sample_s and not whole:
            self._of_server = [each for each in self._of_server if not self._skipped(each)]
        try:
            self.facts = self._sessions.server().facts
            self.diagnosis.learn(self.facts)
            self.up = True
            self._visit_databases()
            self._read_server()
            if sample_s:
                wait(sample_s)
                self._read_server()
        except ReadError as error:
            self._cut_short(error.failure)

    # --- the server -------------------------------------------------------------------------------------

    def _skipped(self, scheduled: Scheduled) -> bool:
        name = scheduled.collector.name
        if name != FEED:
            return False
        reason = "skipped, as asked for by --sample 0s: it tells only what changes between two readings"
        self.leave_out(None, name, reason, chosen=True)
        return True

    def _read_server(self) -> None:
        for scheduled in self._of_server:
            session = self._sessions.server()
            self.diagnosis.learn(session.facts)
            extension = scheduled.lacks(session.facts)
            if extension is not None:
                sentence = self.diagnosis.lacks(extension, scheduled.collector.name)
                self.leave_out(None, scheduled.collector.name, sentence)
                continue
            self._read(scheduled, None, session)
            if (
                session.broken
            ):  # it may have been ended by an administrator: a server that is down says so now
                self._read(scheduled, None, self._sessions.server())

    def _cut_short(self, failure: Failure) -> None:
        """The server cannot be reached, or not any more: whatever was not read by now is not covered."""
        moment = self._now()
        self.up = False
        self.diagnosis.refused(failure, self._role)
        availability = Availability(up=False, failure=failure, down_since=moment.utc, attempts=1)
        reading = own_reading(self._target, _AVAILABILITY, availability, 0.0, moment)
        self.taken[None, _AVAILABILITY] = Taken(reading, None, None)
        self.leave_out(None, None, failure.message)

    # --- the databases ----------------------------------------------------------------------------------

    def _visit_databases(self) -> None:
        session = self._sessions.server()
        databases = attempt(lambda: list_databases(session), lane=self._target, job="databases")
        if isinstance(databases, Failure):
            self.leave_out(None, "databases", databases.message)
            return
        self._following.update(databases)
        self.diagnosis.closed_databases(self._following.closed)
        if not self._of_databases and not any(each.lacks(session.facts) for each in self._of_server):
            return
        for database, reason in self._following.not_covered.items():
            self.leave_out(database, None, reason)
        self._visit_each()

    def _visit_each(self) -> None:
        wide: Failure | None = None
        for database in self._following.followed:
            failure = wide or self._visit(database)
            if failure is not None:
                wide = failure if failure.kind in TARGET_WIDE else None
                self.leave_out(database, None, failure.message)

    def _visit(self, database: str) -> Failure | None:
        try:
            with self._sessions.visiting(database) as session:
                for scheduled in self._of_databases:
                    self._read(scheduled, database, session)
        except ReadError as error:
            return error.failure
        return None

    # --- one reading ------------------------------------------------------------------------------------

    def _read(self, scheduled: Scheduled, database: str | None, session: Session) -> None:
        name = scheduled.collector.name
        place = database, name
        snapshot = attempt(
            lambda: read(self._target, scheduled, database, session, self._now), lane=self._target, job=name
        )
        if isinstance(snapshot, Failure):
            self._unread(name, database, snapshot)
            return
        self.diagnosis.read(snapshot, scheduled.collector)
        self.memory.take(snapshot, scheduled.collector)
        before = self.taken.get(place)
        reading = reading_of(snapshot, self._statements)
        self.taken[place] = Taken(reading, before.reading if before else None, session.facts)
        self.not_covered.pop(place, None)

    def _unread(self, collector: str, database: str | None, failure: Failure) -> None:
        excused = self.diagnosis.out_of_reach(failure)
        self.leave_out(database, collector, failure.message, chosen=excused)
        if excused or failure.kind is FailureKind.PRIVILEGE:
            self.diagnosis.denied(collector, database, failure)

    def leave_out(
        self, database: str | None, collector: str | None, reason: str, *, chosen: bool = False
    ) -> None:
        """It is not covered, unless a later reading covers it after all."""
        self.not_covered[database, collector] = NotCovered(
            database=database, collector=collector, reason=reason, chosen=chosen
        )


def paced(scheduled: Iterable[Scheduled], sample_s: float) -> list[Scheduled]:
    """With the interval of the pass: two readings that are `sample_s` apart are no gap."""
    return [replace(each, interval_s=max(each.interval_s, sample_s)) for each in scheduled]
