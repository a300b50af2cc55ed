"""What pacing decides, brought to the ticks, the readings, the board, the log and the set-up problems of one target."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from daemon.pacing import Pacing
from daemon.reading import Scheduled
from daemon.recorder import Recorder
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
            self._pacing.succeeded(scheduled, snapshot)

    def visited(self, database: str, took_s: float) -> None:
        """A connection was made to a database, for what is read there."""
        with self._lock:
            self._pacing.visited(database, took_s)

    def failed(self, collector: str, database: str | None, failure: Failure, moment: Moment) -> None:
        """A reading did not come, of a target that is not down."""
        with self._lock:
            self._pacing.failed((collector, database), failure, moment)

    def watched_again(self, moment: Moment) -> None:
        """The target was down and answers."""
        with self._lock:
            self._pacing.watched_again(moment)

    def forget(self, collector: str, database: str | None) -> None:
        """The database is no more."""
        with self._lock:
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
            for collector, database in self._recorder.expected:
                one = scheduled.get(collector)
                if one is not None:
                    factor, reason = self._pacing.factor(one, database)
                    self._recorder.pace(collector, database, factor, reason, moment)
            for one in scheduled.values():
                self._judge(one)
            slow = tuple(self._slow.values())
            before, self._told = self._told, self._pacing.stretch
        self._setup.paced(slow)
        self._tell(before.factor)

    def _tell(self, before: int) -> None:
        stretch = self._told
        if before == 1 and stretch.factor > 1:
            log.warning(
                "intervals_stretched", target=self._target, factor=stretch.factor, reason=stretch.reason
            )
        elif before > 1 and stretch.factor == 1:
            log.info("intervals_as_configured", target=self._target)
        self._recorder.publish(stretch=stretch)

    def _judge(self, scheduled: Scheduled) -> None:
        name = scheduled.collector.name
        databases = [database for collector, database in self._recorder.expected if collector == name]
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
