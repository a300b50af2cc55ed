"""Puts the parts together: from checked settings to a daemon that runs."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import structlog

from alerts.actions import Desk
from alerts.markers import Markers
from alerts.people import People
from alerts.quieting import Quieting
from alerts.silences import Silences
from alerts.sink_failing import OWN
from daemon import logs
from daemon.account import Account, log_transitions
from daemon.board import Board
from daemon.clock import Now, Ticker, system_now
from daemon.dead_man import DeadMansSwitch, Signs
from daemon.descriptors import Descriptors
from daemon.doctor.store import store_problems
from daemon.doors import hosts_of, keys_of
from daemon.failing_disk import FailingDisk
from daemon.fleet import Fleet, Grounds, Watched
from daemon.health import Health, status_line
from daemon.heartbeat import BEAT_S, Heartbeat
from daemon.housekeeping import Housekeeping, keep_by, samples_by
from daemon.http.app import build
from daemon.http.server import HttpServer, bind
from daemon.http.sources import Silencing, Sources
from daemon.itself import LOOK_S, Itself
from daemon.lanes.pool import Once, Pool
from daemon.loops import loops
from daemon.maintaining import Maintaining
from daemon.metrics.exposition import Exposition
from daemon.metrics.own import OwnMetrics
from daemon.owed import Owed
from daemon.receivers import Receivers
from daemon.refreshing import Refreshing
from daemon.reload import Changes, LastReload, changes
from daemon.remembering import Remembering
from daemon.reporting import Reporting
from daemon.routing import LOOK_S as ROUTES_S
from daemon.routing import Routing
from daemon.sampling import Sampling
from daemon.settings.settings import Settings
from daemon.settling import FirstLook
from daemon.setup import OwnSetup
from daemon.sinks import Outbox, Outboxes
from daemon.stopping import Budget
from daemon.supervisor import Loop, Supervisor
from daemon.systemd import NOBODY, ServiceManager
from daemon.target import Workers
from daemon.target_marks import TargetMarks
from daemon.why import chain_of
from pgvigil.model.action import Action, ActionKind, Outcome
from pgvigil.model.incident import Incident, Transition
from pgvigil.postgres.limits import LIMITS, Limits
from pgvigil.store import Store
from pgvigil.store.care import Keep

log = structlog.get_logger(__name__)

WRITE_LIMIT_S = 120.0  # of the store's memory: it takes milliseconds, whatever the disk does
OWN_LIMIT_S = 15.0  # the clock ticks every second, the event loop ten times a second
SETTLE_S = 2.0  # how often what could not be written is tried again
FINISH_S = 2.5  # for running reads to finish by themselves
INTERRUPTED_S = 1.0  # for those that did not, once they were interrupted
HISTORY_S = 1.0  # for what is remembered of readings
LAST_S = 1.5  # kept for HTTP and the store, which stop last


class Daemon:
    """Everything that runs between `start` and `stop`. Building it opens the port and the store.

    Raises SetupError when something that people must mend stands in the way; nothing is left open then.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Now = system_now,
        limits: Limits = LIMITS,
        manager: ServiceManager = NOBODY,
    ) -> None:
        self._settings = settings
        self._running = settings.daemon
        self._keys = keys_of(settings)
        self._people = People(settings.people)
        self._hosts = hosts_of(settings.daemon)
        self._now = now
        self.board = Board()
        self.last_reload = LastReload(now().utc)
        self._setup = OwnSetup(self.board)
        with ExitStack() as undo:
            listener = bind(str(settings.daemon.listen))
            undo.callback(listener.close)
            self._disk = FailingDisk(self.board, now)
            self._store = Store.open(settings.daemon.store.reveal(), on_turn=self._disk.turned)
            undo.callback(self._store.close)
            self._silences = Silences(self._store.silences)
            self._silencing = Silencing(self._silences, self._open, self._follow_silences)
            self._markers = Markers(self._store.markers)
            self._owed = Owed()
            looked = FirstLook(lambda: [one.target for one in self._fleet.watched.values()])
            self._routing = Routing(settings, self._setup, self._store, now)
            self._outboxes = Outboxes(self._store, now, self._owed, looked, self._setup, self._routing.muted)
            self._heartbeat = Heartbeat(self._store, now, settings.daemon.digest_after_s)
            boxes = self._outboxes.prepare(settings)
            undo.callback(self._outboxes.discard, boxes)
            self._workers = self._build_workers()
            self._settling = Once(self._workers.connects, self._owed.settle)
            self._ticker = Ticker(now)
            self._remembering = Remembering(self._store, self._workers.connects, lambda: self._fleet.memories)
            self._sampling = Sampling(
                self._store, self._workers.connects, now, lambda: samples_by(self._settings)
            )
            self._fleet = Fleet(self._grounds(limits))
            self._fleet.adopt(self._fleet.prepare(settings))
            self._refreshing = Refreshing(self._fleet, now)
            self._itself = self._build_itself(settings)
            self._desk = self._build_desk()
            self._receivers = Receivers(now, self._desk.act)
            self._receiving = self._receivers.prepare(settings)
            self._supervisor = Supervisor(
                now, self._ticker, self._pools, (), manager=manager, status=lambda: status_line(self.board)
            )
            self._housekeeping = Housekeeping(self._store, self.board, self._workers.connects, self._keep)
            self._account = self._build_account()
            self._switch = DeadMansSwitch(self._signs(), now)
            self._exposition = Exposition(self.board, OwnMetrics(self._account.stats, now().utc))
            self._reporting = Reporting(self._exposition, self._switch, self._ticker, self._workers.connects)
            app = build(self._sources(), lambda: self._hosts, lambda: self._keys)
            self._http = HttpServer(app, listener)
            undo.pop_all()
        self._outboxes.adopt(boxes)
        self._supervisor.watch(self._loops())

    @property
    def url(self) -> str:
        """Where the page, the API and the metrics are."""
        return self._http.url

    def start(self) -> None:
        """Take up where the last run ended, and begin."""
        self._setup.note("configuration", self._settings.problems)
        self._setup.note("store", store_problems(self._store.path))
        self._heartbeat.take_up(sorted(self._outboxes.workers))
        self._outboxes.start()
        self._http.start()
        self._ticker.start()
        self._supervisor.start()
        self._fleet.start()
        self._owed.settle()
        self._receivers.replace(self._receiving)
        self._supervisor.watch(self._loops())
        self._reporting.follow(self._settings)
        self._ticker.every("settle", SETTLE_S, self._settle)
        self._housekeeping.start(self._ticker)
        self._remembering.start(self._ticker)
        self._sampling.start(self._ticker)
        Descriptors(self.board, self._workers.connects).start(self._ticker)
        look = Once(self._workers.connects, self._itself.look)
        self._ticker.every("sinks", LOOK_S, look.submit, first_after_s=LOOK_S)
        timed = Once(self._workers.connects, lambda: self._routing.look(self._open, self._outboxes.wake))
        self._ticker.every("routes", ROUTES_S, timed.submit)
        marks = TargetMarks(lambda: self._fleet.watched)
        Maintaining(self._silencing, lambda: self._settings.maintenance, marks, self._setup, self._now).start(
            self._ticker, self._workers.connects
        )
        beat = Once(self._workers.connects, self._heartbeat.beat)
        self._ticker.every("heartbeat", BEAT_S, beat.submit, first_after_s=BEAT_S)
        log.info(
            "started", url=self.url, targets=len(self._fleet.watched), sinks=sorted(self._outboxes.workers)
        )

    def reload(self, settings: Settings) -> Changes:
        """Go over to `settings`; what did not change goes on as it is. Raises SetupError or StoreError, and has
        changed nothing then. Does not wait for targets, sinks or the store to follow.
        """
        changed = changes(self._settings, settings, self._running)
        with self._owed.held():
            keys = keys_of(settings)
            receiving = self._receivers.prepare(settings)
            boxes, targets = self._prepare(settings)
            self._outboxes.replace(boxes)
            # Nothing fails from here on.
            self._keys = keys
            self._people = People(settings.people)
            self._receivers.replace(receiving)
            self._hosts = hosts_of(settings.daemon)
            self._routing.configure(settings)
            self._fleet.apply(settings, targets)
            self._fleet.catch_up()
            self._itself.configure(settings.daemon.sink_failing_after_s)
            self._owed.add("itself", self._itself.catch_up)
            before, self._settings = self._settings, settings
        self._supervisor.watch(self._loops())
        self._setup.note("configuration", settings.problems)
        self._reporting.follow(settings)
        if settings.daemon.log_level != before.daemon.log_level:
            logs.set_level(settings.daemon.log_level)
        self._settle()
        return changed

    def _prepare(self, settings: Settings) -> tuple[Mapping[str, Outbox], Mapping[str, Watched]]:
        with ExitStack() as undo:
            boxes = self._outboxes.prepare(settings)
            undo.callback(self._outboxes.discard, boxes)
            targets = self._fleet.prepare(settings)
            undo.pop_all()
        return boxes, targets

    def stop(self) -> None:
        """Finish what runs, send what is due as far as it goes in a few seconds, and leave nothing open."""
        budget = Budget(self._now)
        budget.run("ticker", self._ticker.stop, most_s=1.0)
        budget.run("receivers", self._receivers.stop, most_s=1.0)
        self._fleet.stop()
        self._stop_workers(budget)
        budget.run("history", self._remembering.save, most_s=HISTORY_S)
        budget.run("samples", lambda: self._sampling.write(whole=True), most_s=HISTORY_S)
        self._stop_outboxes(budget)
        self._supervisor.stop()
        self._http.stop(budget.left_s(most_s=1.0))
        budget.run("store", lambda: self._disk.closed(self._store.close()), most_s=LAST_S)

    def _stop_workers(self, budget: Budget) -> None:
        if self._workers_left(budget.left_s(most_s=FINISH_S)):
            self._fleet.interrupt()
            for pool in self._workers_left(budget.left_s(most_s=INTERRUPTED_S)):
                log.warning("workers_left_behind", pool=pool.name, threads=pool.threads)

    def _workers_left(self, within_s: float) -> list[Pool]:
        """The pools whose workers have not all left in time."""
        for pool in self._pools:
            pool.stop(within_s=0.0)
        budget = Budget(self._now, within_s)
        return [pool for pool in self._pools if not pool.stop(within_s=budget.left_s())]

    def _stop_outboxes(self, budget: Budget) -> None:
        """All at once: each has all the time that is left, and none has to wait for another."""
        for outbox in self._outboxes.workers.values():
            outbox.finish(budget.left_s(keep_s=LAST_S))
        for name, outbox in self._outboxes.workers.items():
            if not outbox.join(budget.left_s(keep_s=LAST_S)):
                log.warning("left_behind", what=f"outbox {name}")

    # --- parts ------------------------------------------------------------------------------------------

    @property
    def _pools(self) -> Sequence[Pool]:
        workers = self._workers
        return (workers.polls, workers.connects, workers.retries, workers.visits)

    def _build_workers(self) -> Workers:
        polling, spare = self._settings.daemon.workers, self._settings.daemon.spare_workers
        return Workers(
            polls=Pool("polls", self._now, core=polling, most=16 * polling),
            connects=Pool("connects", self._now, core=min(8, spare), most=spare),
            retries=Pool("retries", self._now, core=1, most=spare),
            visits=Pool("visits", self._now, core=min(4, spare), most=spare),
        )

    def _build_desk(self) -> Desk:
        quieting = Quieting(self._silences, self._open, self._follow_silences)
        return Desk(self._store.incidents, self._act, silence=quieting, people=lambda: self._people)

    def _build_account(self) -> Account:
        return Account(
            store=self._store,
            housekeeping=self._housekeeping,
            board=self.board,
            outboxes=self._outboxes,
            fleet=self._fleet,
            last_reload=self.last_reload,
            pools=self._pools,
            supervisor=self._supervisor,
            feedback=lambda: self._desk.feedback,
            heartbeat=lambda: (self._switch.given_at, self._switch.failures),
        )

    def _build_itself(self, settings: Settings) -> Itself:
        itself = Itself(
            now=self._now,
            board=self.board,
            store=self._store.incidents,
            queues=self._store.deliveries.stats,
            sinks=lambda: self._outboxes.workers,
            route=self._routing.route,
            committed=self._committed,
            silenced=self._silences.covering,
        )
        itself.configure(settings.daemon.sink_failing_after_s)
        itself.load()
        return itself

    def _signs(self) -> Signs:
        return Signs(stuck=lambda: self._supervisor.stuck, sinks=self._account.sinks, board=self.board)

    def _grounds(self, limits: Limits) -> Grounds:
        return Grounds(
            now=self._now,
            limits=limits,
            workers=self._workers,
            ticker=self._ticker,
            board=self.board,
            store=self._store,
            owed=self._owed,
            memory=self._remembering.memory,
            route=self._routing.route,
            committed=self._committed,
            silenced=self._silences.covering,
            near=self._markers.near,
            relations=self._routing.relations,
            keep=self._sampling.take,
            ran=self._sampling.ran,
        )

    def _loops(self) -> list[Loop]:
        lanes = [lane for one in self._fleet.watched.values() for lane in one.target.lanes]
        own = [
            Loop("scheduler", lambda: self._ticker.age_s, OWN_LIMIT_S),
            Loop("http", lambda: self._http.age_s, OWN_LIMIT_S),
            Loop("store writer", lambda: self._store.busy_s, WRITE_LIMIT_S),
        ]
        return [*own, *loops(self._pools, lanes, self._outboxes.workers), *self._receivers.loops()]

    def _sources(self) -> Sources:
        incidents = self._store.incidents
        return Sources(
            board=self.board,
            health=Health(self._supervisor, self.board, self._fleet.names, lambda: self._store.writable),
            exposition=self._exposition,
            incidents=lambda states, target, limit: incidents.list(states=states, target=target, limit=limit),
            incident=incidents.get,
            history=incidents.history,
            resolved=incidents.resolved,
            act=self._desk.act,
            feedback=incidents.feedback,
            receivers=lambda: self._receivers.all,
            silencing=self._silencing,
            markers=self._markers,
            now=self._now,
            grafana_url=self._grafana_url,
            actions=incidents.actions,
            why=lambda item: chain_of(self._store, self._settings, item, self._now().utc).sections(),
        )

    # --- while it runs ----------------------------------------------------------------------------------

    def _act(self, target: str, action: Action) -> Outcome | None:
        if target == OWN:
            return self._itself.act(action)
        act = self._refreshing.act if action.kind is ActionKind.REFRESH else self._fleet.act
        return act(target, action)

    def _open(self) -> list[Incident]:
        return [*self._fleet.fired(), *self._itself.open]

    def _grafana_url(self) -> str:
        return self._settings.metrics.grafana_url.reveal()

    def _committed(self, transitions: Sequence[Transition]) -> None:
        log_transitions(transitions)
        self._silences.committed(transitions)
        self._outboxes.wake()

    def _follow_silences(self) -> None:
        self._fleet.catch_up()
        self._owed.add("itself", self._itself.catch_up)
        self._settle()

    def _settle(self) -> None:
        if self._owed:
            self._settling.submit()

    def _keep(self) -> Keep:
        """What the settings of now say of the store's memory."""
        return keep_by(self._settings, self._now().utc)
