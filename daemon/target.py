"""One watched server: its three lanes, what is due on them, and which databases it has."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from daemon.clock import Now, Ticker
from daemon.databases import Databases, nothing
from daemon.doctor.services import out_of_reach
from daemon.following import Following
from daemon.gauges import BLANK, OFF, gauges
from daemon.home import Home, same_server
from daemon.lanes.lane import Job, Lane, ServerLane
from daemon.lanes.pool import Once, Pool
from daemon.metrics.vitals import Sums, exported
from daemon.pipeline import Pipeline
from daemon.reading import Scheduled, home_extensions, in_databases, read
from daemon.recorder import Recorder
from daemon.setup import Setup
from daemon.statements import FEED
from daemon.stretching import Stretching
from daemon.summary import summarize
from daemon.ticks import Ticks
from pgvigil.model.availability import Availability
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.kind import TargetKind
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector, LaneKind
from pgvigil.postgres.session import Session

log = structlog.get_logger(__name__)

FOLLOW_S = 60.0  # how often the list of databases is read
KNOCK_S = 120.0  # how often at least somebody connects anew: who waits for us to go waits no longer than that
FRESHNESS_S = 5.0  # how often staleness is judged
SUMMARY_S = 60.0  # how often the log says how the target does
LOOK_S = 600.0  # how often a missing extension is looked for in all databases
HANGING_S = 1.0  # a job that takes longer may be on a server that has just gone silent
_FIRST = "availability"


@dataclass(frozen=True, slots=True)
class Workers:
    """Who serves the lanes: `polls` those with a connection, `connects` those without one, `retries` those whose last
    attempt to connect held a worker for long, and `visits` the lanes that go from database to database.
    """

    polls: Pool
    connects: Pool
    retries: Pool
    visits: Pool


class Target:
    """Starts by `start`, and then works whenever the ticker or a lane calls; holds no thread of its own."""

    def __init__(
        self,
        name: str,
        *,
        now: Now,
        workers: Workers,
        connect: Callable[[str | None], Session],
        scheduled: Mapping[str, Scheduled],
        following: Following,
        pipeline: Pipeline,
        recorder: Recorder,
        kind: TargetKind = TargetKind.POSTGRES,
    ) -> None:
        self.name = name
        self._kind = kind
        self._now = now
        self._scheduled = scheduled
        self._pipeline = pipeline
        self._recorder = recorder
        self._sums: Sums = {}
        self._setup = Setup(name, recorder, lambda: pipeline.rules)
        self._home = Home(name, connect, home_extensions(scheduled.values()), self._look_around)
        self._stretching = Stretching(name, recorder, self._setup)
        self._freshness = Once(workers.polls, self._judge_freshness)
        self._following = following
        self._ticks: Ticks | None = None  # None before the start, and when it is over
        self._attempts = 0
        self._tried: set[tuple[str, str | None]] = set()  # collector, database
        self._down_since: Moment | None = None
        self._unreachable = False  # target_down or connection_saturation tells of it
        self._ticked = now()
        self._look_mono_s = now().mono_s + LOOK_S
        self._server = ServerLane(
            f"{name}/server",
            now,
            connects=workers.connects,
            retries=workers.retries,
            polls=workers.polls,
            connect=self._home.connect,
            up=self._connected,
            down=self._down,
        )
        self._databases = Databases(
            name,
            now=now,
            pool=workers.visits,
            connect=connect,
            following=following,
            collectors=in_databases(scheduled),
            reading=self._reading,
            visited=self._visited,
            refused=self._refused,
            pipeline=pipeline,
            recorder=recorder,
            stretching=self._stretching,
        )

    # --- what the clock calls ---------------------------------------------------------------------------

    def start(self, ticker: Ticker, spread_s: float) -> None:
        """Plan everything. The first cycle comes within `spread_s`."""
        ticks = self._ticks = Ticks(ticker, self.name, spread_s)
        for scheduled in self._scheduled.values():
            self._plan(ticks, scheduled)
        ticks.every("databases", FOLLOW_S, self._tick_follow)
        # A pooler has one place to connect to: the lasting connection would hold up its shutdown for ever.
        knock = self._databases.knock if self._kind is TargetKind.POSTGRES else self._server.reconnect
        ticks.every("knock", KNOCK_S, knock, after_s=KNOCK_S)
        ticks.every("freshness", FRESHNESS_S, self._tick_freshness, after_s=FRESHNESS_S)
        ticks.every("summary", SUMMARY_S, self._tick_summary, after_s=SUMMARY_S)

    def _plan(self, ticks: Ticks, scheduled: Scheduled) -> None:
        ticks.every(scheduled.collector.name, scheduled.interval_s, partial(self._due, scheduled))
        if scheduled.collector.lane is LaneKind.SERVER:
            self._recorder.expect(scheduled.collector.name, None, scheduled.interval_s, self._now())

    def reschedule(self, scheduled: Mapping[str, Scheduled]) -> None:
        """Read with these collectors, at their intervals, from now on; the connections stay."""
        before, self._scheduled = self._scheduled, scheduled
        for name in before.keys() - scheduled.keys():
            self._leave_off(before[name].collector)
        for name, one in scheduled.items():
            if before.get(name) != one and self._ticks is not None:
                self._plan(self._ticks, one)
        self._databases.reschedule(in_databases(scheduled))
        self._home.needs(home_extensions(scheduled.values()))
        self._setup.needed({one.collector.extension or "" for one in scheduled.values()})
        self._recorder.publish()

    def _leave_off(self, collector: Collector[Any]) -> None:
        if self._ticks is not None:
            self._ticks.cancel(collector.name)
        if collector.lane is LaneKind.SERVER:
            self._recorder.forget(collector.name, None)
        self._pipeline.forget(collector.name)
        self._stretching.leave_off(collector.name)
        self._recorder.publish(**OFF.get(collector.name, {}))

    def follow(self, wants: Callable[[str], bool], named: Sequence[str]) -> None:
        """Look into these databases from now on; the list is read anew at once."""
        self._following.want(wants, named)
        self._follow(tick=False, anew=True)

    def retire(self) -> None:
        """No more ticks and no more work. A job that runs may finish: its worker leaves by itself, see `ended`."""
        if self._ticks is not None:
            self._ticks.cancel_all()
            self._ticks = None
        self.stop()

    @property
    def ended(self) -> bool:
        """After `retire`: no worker is here any more, and nothing is connected."""
        return self._server.ended and self._databases.ended

    def stop(self) -> None:
        """No more work; the ticker is stopped before. What runs may finish."""
        self._server.close()
        self._databases.close()

    def interrupt(self) -> None:
        """End what still runs."""
        self._server.interrupt()
        self._databases.interrupt()

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return (self._server, *self._databases.lanes)

    @property
    def looked(self) -> bool:
        """Whether all that can be read was tried since the start, and what it told is judged; at rest, for a moment."""
        view = self._recorder.view
        if view.first_tried_at is None or any(lane.busy_s for lane in self.lanes):
            return False
        expected = {(one.collector, one.database) for one in view.collectors}
        return not view.up or (self._databases.listed and expected <= self._tried)

    def read_now(self, feeds: Collection[str], database: str | None) -> None:
        """Off schedule, what these collectors read: in one database, or wherever they do."""
        for scheduled in self._scheduled.values():
            if scheduled.collector.name in feeds:
                self._due(scheduled, tick=False, only=database)

    def _due(self, scheduled: Scheduled, *, tick: bool = True, only: str | None = None) -> None:
        if scheduled.collector.lane is not LaneKind.SERVER:
            self._databases.due(scheduled, tick=tick, only=only)
        elif not tick or self._stretching.due(scheduled):
            self._server.due(self._reading(scheduled, None), tick=tick)

    def _tick_follow(self) -> None:
        self._follow(tick=True)

    def _follow(self, *, tick: bool, anew: bool = False) -> None:
        self._server.due(Job(key="databases", run=self._list, failed=nothing), tick=tick, anew=anew)

    def _list(self, session: Session) -> None:
        self._databases.follow(session)
        self._setup.closed_databases(self._following.closed)

    def _tick_freshness(self) -> None:
        before, self._ticked = self._ticked, self._now()
        if self._ticked.mono_s - before.mono_s > 2 * FRESHNESS_S:
            self._recorder.resumed(self._ticked)  # the clock stood still, and so nothing was asked
        self._freshness.submit()

    def _judge_freshness(self) -> None:
        """On a worker: it may write to the store, and the clock waits for nobody."""
        ticks = dict(self._server.missed)  # a copy: the clock's thread adds to it
        missed: dict[tuple[str, str | None], int] = {(key, None): n for key, n in ticks.items()}
        self._recorder.missed(missed | self._databases.missed)
        self._tried -= self._tried - self._recorder.expected  # databases come and go
        if not self._unreachable:
            self._stretching.settle(self._scheduled, self._ticked)
        if not self._unreachable and self._server.busy_s < HANGING_S:
            self._pipeline.freshness(self._ticked, FRESHNESS_S)
        self._recorder.publish()

    def _tick_summary(self) -> None:
        summarize(self._recorder.view)

    # --- readings ---------------------------------------------------------------------------------------

    def _reading(self, scheduled: Scheduled, database: str | None) -> Job:
        name = scheduled.collector.name
        return Job(
            key=name if database is None else f"{name} {database}",
            run=partial(self._read, scheduled, database),
            failed=partial(self._unread, name, database),
            database=database,
            within_s=0.0 if name == _FIRST else scheduled.interval_s,
        )

    def _read(self, scheduled: Scheduled, database: str | None, session: Session) -> None:
        collector = scheduled.collector
        if collector.name not in self._scheduled:  # switched off since it was due
            return
        self._tried.add((collector.name, database))
        if not self._has_extension(scheduled, session):
            self._lacks(collector, database)
            return
        awaited = self._stretching.awaited(scheduled, database)
        snapshot = read(self.name, awaited, database, session, self._now)
        ended = Moment(snapshot.taken_at, snapshot.mono_s)
        self._recorder.succeeded(collector.name, database, snapshot.duration_s, ended)
        self._stretching.succeeded(scheduled, snapshot)
        self._setup.read(snapshot, collector)
        log.debug(
            "read",
            target=self.name,
            collector=collector.name,
            database=database,
            ms=round(snapshot.duration_s * 1000, 1),
        )
        if collector.name == _FIRST:
            self._answered(snapshot.rows, ended, session)
        self._pipeline.remember(snapshot, collector, session.facts)
        self._recorder.exported(collector.name, database, exported(snapshot, collector, self._sums))
        self._take(snapshot, session)

    def _take(self, snapshot: Snapshot[Any], session: Session) -> None:
        self._pipeline.take(snapshot, session)
        if snapshot.collector == FEED:
            self._setup.texts(self._pipeline.texts_failure)
        on = snapshot.collector in self._scheduled
        self._recorder.publish(**(gauges(snapshot) if on else OFF.get(snapshot.collector, {})))
        self._databases.fetch_names()

    def _unread(self, collector: str, database: str | None, failure: Failure) -> None:
        self._tried.add((collector, database))
        excused = out_of_reach(failure, self._pipeline.facts)
        self._recorder.failed(collector, database, failure, excused=excused)
        if not self._unreachable:
            self._stretching.failed(collector, database, failure, self._now())
        if (excused or failure.kind is FailureKind.PRIVILEGE) and self._pipeline.facts is not None:
            self._setup.denied(collector, database, failure)
        if collector == _FIRST and self._down_since is None:  # connected, and yet no query is answered
            self._recorder.availability(Availability(up=False, failure=failure), self._now())
        self._recorder.publish(**BLANK.get(collector, {}))
        self._pipeline.lost(collector, database, failure)

    def _has_extension(self, scheduled: Scheduled, session: Session) -> bool:
        """Facts are as old as the connection: an extension that they lack may have been created since."""
        if not scheduled.lacks(session.facts):
            return True
        before = session.facts
        after = session.rediscover()
        if after != before:  # in anything: those who compare must hear of it
            self._connected(session)
        return not scheduled.lacks(after)

    def _lacks(self, collector: Collector[Any], database: str | None) -> None:
        """The extension is not in this database: looked for in the others, then switched off and said once."""
        if self._now().mono_s >= self._look_mono_s:
            self._look_around()
        if not self._databases.looked_everywhere:
            return
        self._recorder.forget(collector.name, database)
        sentence = self._setup.lacks(collector.extension or "", collector.name)
        self._pipeline.lost(collector.name, database, Failure(FailureKind.MISSING, sentence))

    def _look_around(self) -> None:
        self._look_mono_s = self._now().mono_s + LOOK_S
        self._databases.look_around()

    # --- up and down ------------------------------------------------------------------------------------

    def _connected(self, session: Session) -> None:
        facts, before = session.facts, self._pipeline.facts
        self._recorder.publish(facts=facts)
        self._pipeline.facts = facts
        if before is not None and not same_server(before, facts):
            log.info("server_changed", target=self.name, started_at=facts.started_at)
            self._pipeline.server_changed(self._now())
        self._setup.learn(facts)
        for scheduled in self._scheduled.values():
            collector = scheduled.collector
            if collector.lane is LaneKind.SERVER and (collector.extension or "") in ("", *facts.extensions):
                self._recorder.expect(collector.name, None, scheduled.interval_s, self._now())

    def _refused(self, failure: Failure) -> None:
        """A smart shutdown waits until every client has gone of itself, and lets nobody in: go, and wait outside."""
        if failure.kind is FailureKind.SHUTTING_DOWN:
            log.info("leaving", target=self.name, reason=failure.message)
            self._server.reconnect()

    def _visited(self, session: Session) -> None:
        """The databases lane is somewhere: see whether that database has what the server lane lacks, or whether
        the name of the server leads to another one by now, while the server lane's connection still lives.
        """
        here = self._pipeline.facts
        if here is None:
            return
        moved = not same_server(here, session.facts)
        if self._home.better(here, session.facts) or moved:
            self._server.reconnect()

    def _answered(self, availability: Availability, moment: Moment, session: Session) -> None:
        if self._down_since is not None:
            self._resume(moment)
        self._attempts = 0
        self._down_since = None
        self._unreachable = False
        self._recorder.availability(availability, moment)
        facts = session.facts
        now = (availability.in_recovery, availability.started_at, availability.monitor)
        if now != (facts.in_recovery, facts.started_at, facts.monitor):
            session.rediscover()  # promoted or granted on this connection, or restarted behind a pooler
            self._connected(session)

    def _resume(self, moment: Moment) -> None:
        """It was down: read everything now, so that what became unknown is known again soon."""
        log.info("target_answers", target=self.name, attempts=self._attempts)
        self._recorder.resumed(moment)
        self._stretching.watched_again(moment)
        self._follow(tick=False)
        for scheduled in self._scheduled.values():
            self._due(scheduled, tick=False)

    def _down(self, failure: Failure) -> None:
        """The server lane has no connection. Being full is not being down, but nothing is read either way."""
        moment = self._now()
        self._attempts += 1
        self._down_since = self._down_since or moment
        self._unreachable = failure.kind.means_down or failure.kind is FailureKind.TOO_MANY_CONNECTIONS
        down_s = moment.mono_s - self._down_since.mono_s
        availability = Availability(
            up=False,
            failure=failure,
            down_since=moment.utc - timedelta(seconds=down_s),  # by the wall clock as it is now
            attempts=self._attempts,
        )
        if self._attempts == 1:
            self._stretching.failed(_FIRST, None, failure, moment)  # its silence, or that it is full
            log.warning("target_unreachable", target=self.name, kind=failure.kind, message=failure.message)
        self._recorder.availability(availability, moment)
        self._setup.refused(failure)
        self._pipeline.unavailable(availability, moment, told=self._unreachable)
