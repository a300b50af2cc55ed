"""The databases of one target: followed as they come and go, read one after another."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from daemon.clock import Now
from daemon.following import Following
from daemon.lanes.lane import DatabasesLane, Job, Lane
from daemon.lanes.pool import Pool
from daemon.pipeline import Pipeline
from daemon.reading import Scheduled
from daemon.recorder import Recorder
from daemon.stretching import Stretching
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.plugins import LaneKind
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.names import relation_names
from pgvigil.postgres.session import Session, list_databases


def nothing(_given: object) -> None:
    """What a job does that is only there to connect, or whose failure others notice."""


class Databases:
    """Owns the databases lane and the heavy one. What cannot be read is shown as not covered, with the reason."""

    def __init__(
        self,
        target: str,
        *,
        now: Now,
        pool: Pool,
        connect: Callable[[str | None], Session],
        following: Following,
        collectors: Sequence[Scheduled],
        reading: Callable[[Scheduled, str], Job],
        visited: Callable[[Session], None],
        refused: Callable[[Failure], None],
        pipeline: Pipeline,
        recorder: Recorder,
        stretching: Stretching,
    ) -> None:
        self._now = now
        self._connect = connect
        self._following = following
        self._collectors = collectors
        self._reading = reading
        self._visited = visited
        self._refused = refused
        self._pipeline = pipeline
        self._recorder = recorder
        self._stretching = stretching
        self._looked: set[str] = set()  # databases that were connected to: their extensions are known
        self._unreadable: dict[str, str] = {}  # the last visit failed: why
        self._listed = False
        self._lane = DatabasesLane(f"{target}/databases", now, pool=pool, connect=self._visit)
        # What takes long has a connection of its own while it runs, so that it delays nothing else.
        self._heavy = DatabasesLane(f"{target}/heavy", now, pool=pool, connect=self._visit)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return (self._lane, self._heavy)

    @property
    def listed(self) -> bool:
        """Whether it is known which databases there are."""
        return self._listed

    @property
    def looked_everywhere(self) -> bool:
        """Whether every followed database was connected to, or refused it."""
        return self._listed and set(self._following.followed) <= self._looked | self._unreadable.keys()

    @property
    def missed(self) -> dict[tuple[str, str | None], int]:
        """Missed ticks by collector and database."""
        missed = dict(self._lane.missed) | dict(self._heavy.missed)
        split = {key.partition(" ")[::2]: ticks for key, ticks in missed.items()}
        return {(collector, database): ticks for (collector, database), ticks in split.items()}

    def close(self) -> None:
        self._lane.close()
        self._heavy.close()

    def interrupt(self) -> None:
        self._lane.interrupt()
        self._heavy.interrupt()

    def _lane_of(self, scheduled: Scheduled) -> DatabasesLane:
        return self._heavy if scheduled.collector.lane is LaneKind.HEAVY else self._lane

    @property
    def ended(self) -> bool:
        """After `close`: no worker is here any more, and nothing is connected."""
        return self._lane.ended and self._heavy.ended

    def reschedule(self, collectors: Sequence[Scheduled]) -> None:
        """Read with these from now on."""
        before = {one.collector.name: one for one in self._collectors}
        now = {one.collector.name: one for one in collectors}
        self._collectors = collectors
        for database in self._following.followed:
            for gone in before.keys() - now.keys():
                self._recorder.forget(gone, database)
            for name, one in now.items():
                if before.get(name) != one:
                    self._recorder.expect(name, database, one.interval_s, self._now())

    def due(self, scheduled: Scheduled, *, tick: bool = True, only: str | None = None) -> None:
        """Read with this collector in every followed database, or in one; at a tick, where it is time."""
        for database in self._following.followed:
            if only not in (None, database):
                continue
            if not tick or self._stretching.due(scheduled, database):
                self._lane_of(scheduled).due(self._reading(scheduled, database), tick=tick)
        self._look_up(self._pipeline.relations.known())  # they may have been renamed

    def follow(self, session: Session) -> None:
        """Read the list of databases: new ones are read at once, the incidents of others end."""
        change = self._following.update(list_databases(session))
        self._listed = True
        self._pipeline.databases_are(self._following.names, self._now())
        watched = {*self._following.followed, *self._following.not_covered}
        feeds = {scheduled.collector.name for scheduled in self._collectors}
        self._pipeline.databases_watched(watched, feeds, self._now())
        for database in change.dropped:
            self._forget(database)
        for database in change.appeared:
            self._begin(database)
        for database, reason in self._following.not_covered.items():
            self._leave_out(database, reason)
        self._publish()

    def fetch_names(self) -> None:
        """Look up the relations that a rule wanted to name."""
        self._look_up(self._pipeline.relations.take_wanted())

    def _look_up(self, wanted: Mapping[int, set[int]]) -> None:
        for oid, relations in wanted.items():
            database = self._following.names.get(oid)
            if database is not None:
                run = partial(self._learn_names, oid, relations)
                self._lane.due(
                    Job(key=f"names {database}", run=run, failed=nothing, database=database), tick=False
                )

    def look_around(self) -> None:
        """Connect once to every followed database, to see which extensions it has."""
        self._looked.clear()
        for database in self._following.followed:
            self._look(database)

    def knock(self) -> None:
        """Connect anew to one of them, which tells what a lasting connection does not feel."""
        if self._following.followed:
            self._look(self._following.followed[0])

    def _look(self, database: str) -> None:
        self._lane.due(
            Job(key=f"look {database}", run=nothing, failed=nothing, database=database), tick=False
        )

    def _begin(self, database: str) -> None:
        self._look(database)
        for scheduled in self._collectors:
            self._recorder.expect(scheduled.collector.name, database, scheduled.interval_s, self._now())
            self._lane_of(scheduled).due(self._reading(scheduled, database), tick=False)

    def _forget(self, database: str) -> None:
        self._lane.forget(database)
        self._heavy.forget(database)
        self._looked.discard(database)
        self._unreadable.pop(database, None)
        for lane in self.lanes:
            for key in [key for key in tuple(lane.missed) if key.partition(" ")[2] == database]:
                del lane.missed[key]
        for scheduled in self._collectors:
            self._recorder.forget(scheduled.collector.name, database)
            self._stretching.forget(scheduled.collector.name, database)

    def _leave_out(self, database: str, reason: str) -> None:
        failure = Failure(FailureKind.PRIVILEGE, f"{database}: {reason}")
        for scheduled in self._collectors:
            self._recorder.forget(scheduled.collector.name, database)
            self._pipeline.lost(scheduled.collector.name, database, failure)

    def _visit(self, database: str) -> Session:
        began_s = self._now().mono_s
        try:
            session = self._connect(database)
        except ReadError as error:
            self._unreadable[database] = error.failure.message
            self._publish()
            self._refused(error.failure)
            raise
        if self._unreadable.pop(database, None) is not None:
            self._publish()
        self._stretching.visited(database, self._now().mono_s - began_s)
        self._looked.add(database)
        self._visited(session)
        return session

    def _publish(self) -> None:
        followed = self._following.followed
        unreadable = {name: self._unreadable[name] for name in followed if name in self._unreadable}
        self._recorder.publish(
            databases=tuple(name for name in followed if name not in unreadable),
            not_covered={**self._following.not_covered, **unreadable},
        )

    def _learn_names(self, oid: int, relations: set[int], session: Session) -> None:
        self._pipeline.relations.learn(oid, relation_names(session, relations))
