"""What pacing decides, brought to the ticks, the readings, the board, the log and the set-up problems of one target."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from daemon.pacing import Pacing
from daemon.reading import Scheduled
from daemon.recorder import Key, Recorder
from daemon.setup import Setup
from pgvigil.model.failure import Failure
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Snapshot
from pgvigil.problems import Problem
from pgvigil.units import format_duration

log = structlog.get_logger(__name__)


class Stretching:
    """Thread-safe: the clock and the lanes of a target call at once."""

    def __init__(self, target: str, recorder: Recorder, setup: Setup) -> None:
        self._target = target
        self._recorder = recorder
        self._setup = setup
        self._lock = threading.Lock()
        self._pacing = Pacing()
        self._told = self._pacing.stretch
        self._slow: dict[str, Problem] = {}
        self._settled: frozenset[Key] = frozenset()
        self._settled_for: Mapping[str, Scheduled] = {}
        self._unsettled: set[str] = set()  # collectors whose readings came, or did not, since

    def due(self, scheduled: Scheduled, database: str | None = None) -> bool:
        """A tick of the collector came: whether it is to be read now, or later because its interval is stretched."""
        with self._lock:
            return self._pacing.due(scheduled, database)

    def awaited(self, scheduled: Scheduled, database: str | None) -> Scheduled:
        """With the interval that the reading which comes now was awaited for."""
        with self._lock:
            return replace(scheduled, interval_s=self._pacing.awaited_s(scheduled, database))

    def succeeded(self, scheduled: Scheduled, snapshot: Snapshot[Any]) -> None:
        """A reading came; `scheduled` has the interval that is configured."""
        with self._lock:
            self._unsettled.add(snapshot.collector)
            self._pacing.succeeded(scheduled, snapshot)

    def visited(self, database: str, took_s: float) -> None:
        """A connection was made to a database, for what is read there."""
        with self._lock:
            self._pacing.visited(database, took_s)

    def failed(self, collector: str, database: str | None, failure: Failure, moment: Moment) -> None:
        """A reading did not come, of a target that is not down."""
        with self._lock:
            self._unsettled.add(collector)
            self._pacing.failed((collector, database), failure, moment)

    def watched_again(self, moment: Moment) -> None:
        """The target was down and answers."""
        with self._lock:
            self._pacing.watched_again(moment)

    def forget(self, collector: str, database: str | None) -> None:
        """The database is no more."""
        with self._lock:
            self._unsettled.add(collector)
            self._pacing.forget(collector, database)

    def leave_off(self, collector: str) -> None:
        """It is read no more."""
        with self._lock:
            self._pacing.forget(collector, everywhere=True)
            self._slow.pop(collector, None)

    def settle(self, scheduled: Mapping[str, Scheduled], moment: Moment) -> None:
        """Every few seconds, while the target is watched: let go what is quiet, and show what is in force."""
        with self._lock:
            self._pacing.relax(moment)
            for name, databases in self._changed(scheduled).items():
                one = scheduled[name]
                for database in databases:
                    factor, reason = self._pacing.factor(one, database)
                    self._recorder.pace(name, database, factor, reason, moment)
                self._judge(one, databases)
            slow = tuple(self._slow.values())
            before, self._told = self._told, self._pacing.stretch
        self._setup.paced(slow)
        if before != self._told:
            self._tell(before.factor)

    def _changed(self, scheduled: Mapping[str, Scheduled]) -> dict[str, list[str | None]]:
        """The databases of each collector for which something else may hold than the last time."""
        expected = self._recorder.expected
        again = {name for name, _ in expected ^ self._settled} | self._unsettled
        if self._pacing.stretch != self._told or scheduled is not self._settled_for:
            again = {*scheduled}
        self._settled, self._settled_for, self._unsettled = expected, scheduled, set()
        found: dict[str, list[str | None]] = {name: [] for name in again if name in scheduled}
        for name, database in expected:
            if name in found:
                found[name].append(database)
        return found

    def _tell(self, before: int) -> None:
        stretch = self._told
        if before == 1 and stretch.factor > 1:
            log.warning(
                "intervals_stretched", target=self._target, factor=stretch.factor, reason=stretch.reason
            )
        elif before > 1 and stretch.factor == 1:
            log.info("intervals_as_configured", target=self._target)
        self._recorder.publish(stretch=stretch)

    def _judge(self, scheduled: Scheduled, databases: Sequence[str | None]) -> None:
        name = scheduled.collector.name
        habits = [self._pacing.habit(scheduled, database) for database in databases]
        if any(habits):
            self._slow[name] = self._problem(scheduled, databases)
        elif None not in habits:
            self._slow.pop(name, None)

    def _problem(self, scheduled: Scheduled, databases: Iterable[str | None]) -> Problem:
        name = scheduled.collector.name
        factor, reason = max(self._pacing.factor(scheduled, database) for database in databases)
        stretched_s = scheduled.interval_s * factor
        return Problem(
            slug="collector-slow",
            target=self._target,
            sentence=f"{self._target}: {name} is read every {format_duration(stretched_s)} and not every"
            f" {format_duration(scheduled.interval_s)}, because {reason}.",
            why="pgvigil keeps each collector to 1 % of one backend's time; what this one watches is seen later than"
            " configured, and not at all where it does not end in time.",
            fix=f"Set [collectors.{name}] interval to what the server bears, or enabled = false.",
        )
