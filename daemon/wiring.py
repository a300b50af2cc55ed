"""Puts the parts together: from checked settings to a daemon that runs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import structlog

from alerts.bound import BoundRule
from alerts.engine import Engine
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.worker import OutboxWorker
from alerts.routes import Router
from daemon.account import Account, log_transitions
from daemon.board import Board, TargetView
from daemon.clock import Now, Ticker, system_now
from daemon.following import Following
from daemon.health import Health
from daemon.housekeeping import Housekeeping
from daemon.http.app import build
from daemon.http.hosts import Hosts
from daemon.http.server import HttpServer, bind
from daemon.http.sources import Sources
from daemon.lanes.pool import Once, Pool
from daemon.metrics.exposition import Exposition
from daemon.metrics.own import OwnMetrics
from daemon.metrics.push import Pusher
from daemon.pipeline import Pipeline
from daemon.reading import scheduled
from daemon.recorder import Recorder
from daemon.settings.sections import DaemonSettings, TargetSettings
from daemon.settings.settings import Settings
from daemon.statements import Statements
from daemon.supervisor import Loop, Supervisor
from daemon.target import Target, Workers
from pgvigil.model.incident import Transition
from pgvigil.postgres.limits import LIMITS, Limits
from pgvigil.postgres.session import Session, connect
from pgvigil.problems import Problem
from pgvigil.store import Store
from pgvigil.store.care import Keep

log = structlog.get_logger(__name__)

LANE_LIMIT_S = 120.0  # every deadline of a job is far below this: past it the lane itself is stuck
OUTBOX_LIMIT_S = 120.0
FLEET_SPREAD_S = 5.0  # over which the first cycles of many targets are spread
PUSH_S = 15.0
FINISH_S = 2.0  # for running reads, twice: before and after they are interrupted


class Daemon:
    """Everything that runs between `start` and `stop`. Building it opens the port and the store.

    Raises SetupError when something that people must mend stands in the way; nothing is left open then.
    """

    def __init__(self, settings: Settings, *, now: Now = system_now, limits: Limits = LIMITS) -> None:
        self._settings = settings
        self._now = now
        self._limits = limits
        self.board = Board()
        with ExitStack() as undo:
            listener = bind(str(settings.daemon.listen))
            undo.callback(listener.close)
            self._store = Store.open(settings.daemon.store.reveal())
            undo.callback(self._store.close)
            self._outboxes = self._build_outboxes(undo)
            self._workers = self._build_workers()
            self._router = Router(self._settings.routes, tuple(settings.sinks), self._report)
            self._pipelines: list[Pipeline] = []
            self._targets = [self._build_target(target) for target in settings.targets]
            self._ticker = Ticker(now)
            self._supervisor = Supervisor(now, self._ticker, self._pools, self._loops())
            self._housekeeping = Housekeeping(self._store, self.board, self._workers.connects, self._keep)
            self._account = Account(
                store=self._store,
                housekeeping=self._housekeeping,
                outboxes=self._outboxes,
                pipelines=self._pipelines,
                pools=self._pools,
                supervisor=self._supervisor,
            )
            self._exposition = Exposition(self.board, OwnMetrics(self._account.stats, now().utc))
            app = build(self._sources(), _hosts(settings.daemon), settings.daemon.api_token())
            self._http = HttpServer(app, listener)
            undo.pop_all()

    @property
    def url(self) -> str:
        """Where the page, the API and the metrics are."""
        return self._http.url

    def start(self) -> None:
        """Take up where the last run ended, and begin."""
        for problem in self._settings.problems:
            self._report(problem)
        self._resolve_orphans()
        for outbox in self._outboxes.values():
            outbox.start()
        self._http.start()
        self._ticker.start()
        self._supervisor.start()
        spread_s = 0.0 if len(self._targets) < 10 else FLEET_SPREAD_S
        for target in self._targets:
            target.start(self._ticker, spread_s)
        self._start_pushing()
        self._housekeeping.start(self._ticker)
        log.info("started", url=self.url, targets=len(self._targets), sinks=sorted(self._outboxes))

    def stop(self) -> None:
        """Finish what runs, send what is due as far as it goes in a few seconds, and leave nothing open."""
        self._ticker.stop()
        for target in self._targets:
            target.stop()
        self._stop_workers()
        for outbox in self._outboxes.values():
            outbox.stop(flush_s=3.0)
        self._supervisor.stop()
        self._http.stop()
        self._store.close()

    def _stop_workers(self) -> None:
        finished = [pool.stop(within_s=FINISH_S) for pool in self._pools]
        if all(finished):
            return
        for target in self._targets:
            target.interrupt()
        for pool in self._pools:
            if not pool.stop(within_s=FINISH_S):
                log.warning("workers_left_behind", pool=pool.name, threads=pool.threads)

    # --- parts ------------------------------------------------------------------------------------------

    @property
    def _pools(self) -> Sequence[Pool]:
        return (self._workers.polls, self._workers.connects, self._workers.retries)

    def _build_workers(self) -> Workers:
        polling, spare = self._settings.daemon.workers, self._settings.daemon.spare_workers
        return Workers(
            polls=Pool("polls", self._now, core=polling, most=16 * polling),
            connects=Pool("connects", self._now, core=min(8, spare), most=spare),
            retries=Pool("retries", self._now, core=1, most=spare),
        )

    def _build_outboxes(self, undo: ExitStack) -> dict[str, OutboxWorker]:
        outboxes = {}
        for name, bound in self._settings.sinks.items():
            sink = bound.kind.build(name, bound.params, self._settings.daemon.public_url.reveal())
            undo.callback(sink.close)
            limits = OutboxLimits(between_calls_s=bound.kind.between_calls_s)
            outboxes[name] = OutboxWorker(name, sink, self._store, self._now, limits)
        return outboxes

    def _build_target(self, settings: TargetSettings) -> Target:
        began = self._now()
        recorder = Recorder(TargetView(name=settings.name, labels=settings.labels), self.board, began)
        recorder.publish()
        engine = self._build_engine(settings.name, settings)
        engine.load(began)
        pipeline = Pipeline(
            settings.name,
            now=self._now,
            rules=self._rules(settings.name),
            engine=engine,
            recorder=recorder,
            statements=Statements(
                settings.name,
                self._store.texts,
                top_k=self._settings.metrics.top_k,
                interval_s=self._settings.collector("statements").interval_s,
            ),
        )
        self._pipelines.append(pipeline)
        return Target(
            settings.name,
            now=self._now,
            workers=self._workers,
            connect=self._connector(settings),
            scheduled=scheduled(self._settings),
            following=Following(settings.wants_database, settings.databases),
            pipeline=pipeline,
            recorder=recorder,
        )

    def _build_engine(self, name: str, settings: TargetSettings) -> Engine:
        return Engine(
            name, settings.labels, self._rules(name), self._store.incidents, self._router, self._committed
        )

    def _rules(self, target: str) -> Mapping[str, BoundRule]:
        """Those that will get readings. Where all that a rule judges is switched off, so is the rule."""
        off = {name for name, section in self._settings.collectors.items() if not section.enabled}
        bound = self._settings.bound_rules(target)
        return {name: rule for name, rule in bound.items() if {*rule.rule.watches} - off}

    def _connector(self, settings: TargetSettings) -> Callable[[str | None], Session]:
        dsn = settings.server
        return lambda database: connect(dsn, limits=self._limits, database=database)

    def _loops(self) -> list[Loop]:
        lanes = [Loop(f"lane {one.name}", partial(_busy_s, one), LANE_LIMIT_S) for one in self._targets]
        boxes = [
            Loop(f"outbox {name}", partial(_age_s, one), OUTBOX_LIMIT_S)
            for name, one in self._outboxes.items()
        ]
        return [*lanes, *boxes]

    def _sources(self) -> Sources:
        names = frozenset(target.name for target in self._targets)
        incidents = self._store.incidents
        return Sources(
            board=self.board,
            health=Health(self._supervisor, self.board, names, lambda: self._store.writable),
            exposition=self._exposition,
            incidents=lambda states, target, limit: incidents.list(states=states, target=target, limit=limit),
            incident=incidents.get,
            now=lambda: self._now().utc,
            grafana_url=self._settings.metrics.grafana_url.reveal(),
        )

    # --- while it runs ----------------------------------------------------------------------------------

    def _committed(self, transitions: Sequence[Transition]) -> None:
        log_transitions(transitions)
        for outbox in self._outboxes.values():
            outbox.wake()

    def _report(self, problem: Problem) -> None:
        log.warning("setup_problem", slug=problem.slug, sentence=problem.sentence, fix=problem.fix)

    def _resolve_orphans(self) -> None:
        """Incidents of targets that the configuration no longer has cannot be judged by anyone."""
        known = {target.name for target in self._settings.targets}
        for name in sorted({incident.target for incident in self._store.incidents.open()} - known):
            engine = Engine(name, {}, self._any_rules(), self._store.incidents, self._router, self._committed)
            engine.load(self._now())
            engine.target_removed(self._now())

    def _any_rules(self) -> Mapping[str, BoundRule]:
        return next(iter(self._settings.rules.values()), {})

    def _start_pushing(self) -> None:
        url = self._settings.metrics.push_url.reveal()
        if url:
            push = Once(self._workers.connects, Pusher(url, self._exposition).push)
            self._ticker.every("push", PUSH_S, push.submit)

    def _keep(self) -> Keep:
        """What the settings of now say of the store's memory."""
        since = self._now().utc - timedelta(seconds=self._settings.retention.incidents_s)
        return Keep(resolved_since=since, targets=frozenset(target.name for target in self._settings.targets))


def _hosts(settings: DaemonSettings) -> Hosts:
    return Hosts(
        listen=settings.listen.host,
        public_url=settings.public_url.reveal(),
        allowed=settings.allowed_hosts,
    )


def _busy_s(target: Target) -> float:
    return target.busy_s


def _age_s(outbox: OutboxWorker) -> float:
    age_s: float = outbox.age_s
    return age_s
