"""The targets that are watched: built, changed in place, replaced and retired as the configuration says."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from alerts.bound import BoundRule
from alerts.elsewhere import Elsewhere
from alerts.engine import Engine
from alerts.evaluation import Silenced
from alerts.markers import Near
from alerts.noticed import Noticing
from alerts.relations import Relations
from alerts.routes import Recipient
from alerts.sink_failing import OWN
from daemon.board import Board, TargetView
from daemon.clock import Now, Ticker
from daemon.following import Following
from daemon.memory import Memory
from daemon.owed import Owed
from daemon.pipeline import Kept, Pipeline
from daemon.reading import scheduled
from daemon.recorder import Recorder
from daemon.settings.sections import TargetSettings
from daemon.settings.settings import Settings
from daemon.statements import Ran, Statements
from daemon.target import Target, Workers
from pgvigil.model.action import Action, Outcome
from pgvigil.model.facts import Facts
from pgvigil.model.incident import Incident, Transition
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Peer
from pgvigil.postgres.limits import Limits
from pgvigil.postgres.session import connect
from pgvigil.store import Store

log = structlog.get_logger(__name__)

_LOOK_S = 1.0  # how old what is known of clusters may be

SPREAD_S = 5.0  # over which the first cycles of many targets are spread
MANY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What all targets stand on."""

    now: Now
    limits: Limits
    workers: Workers
    ticker: Ticker
    board: Board
    store: Store
    owed: Owed
    memory: Callable[[str], Memory]  # what is remembered of a target
    route: Callable[[Incident], Sequence[Recipient]]
    committed: Callable[[Sequence[Transition]], None]
    silenced: Silenced
    near: Near
    relations: Callable[[], Relations]
    keep: Kept  # the history of readings
    ran: Ran  # that of statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One target with its parts. `engine` outlives the others when only the way to the server changes."""

    settings: TargetSettings
    engine: Engine
    recorder: Recorder
    statements: Statements
    pipeline: Pipeline
    following: Following
    target: Target


@dataclass(frozen=True, slots=True)
class _Peer:
    """See `pgvigil.plugins.Peer`."""

    watched: Watched

    @property
    def name(self) -> str:
        return self.watched.settings.name

    @property
    def up(self) -> bool:
        return self.watched.recorder.view.up

    @property
    def facts(self) -> Facts | None:
        return self.watched.pipeline.facts

    def latest(self, feed: str, database: str | None = None) -> Snapshot[Any] | Delta[Any] | None:
        return self.watched.pipeline.latest(feed, database)


@dataclass(frozen=True, slots=True)
class _Clusters:
    """The targets `of` a moment by their system identifier, as they were at `at_s`."""

    members: Mapping[int, Sequence[_Peer]]
    of: Mapping[str, Watched]
    at_s: float

    @classmethod
    def now(cls, watched: Mapping[str, Watched], at_s: float) -> "_Clusters":
        members: dict[int, list[_Peer]] = {}
        for one in watched.values():
            facts = one.pipeline.facts
            if facts is not None and facts.system_identifier is not None:
                members.setdefault(facts.system_identifier, []).append(_Peer(one))
        return cls(members, watched, at_s)


class Fleet:
    """Thread-safe for readers: `watched` is replaced as a whole. `prepare` may fail, `apply` cannot."""

    def __init__(self, grounds: Grounds) -> None:
        self._grounds = grounds
        self._elsewhere = Elsewhere()
        self._clusters = _Clusters({}, {}, float("-inf"))
        self._leaving: list[Target] = []
        self._rule_errors: Counter[str] = Counter()  # of pipelines that are no more
        self.watched: Mapping[str, Watched] = {}

    def names(self) -> Collection[str]:
        return self.watched.keys()

    @property
    def memories(self) -> Mapping[str, Memory]:
        """By target."""
        return {name: one.pipeline.memory for name, one in self.watched.items()}

    @property
    def rule_errors(self) -> Counter[str]:
        """Of every rule: a counter that begins with its first error has not increased for whoever scrapes it."""
        pipelines = [one.pipeline for one in self.watched.values()]
        errors = Counter(dict.fromkeys({name for each in pipelines for name in each.rules}, 0))
        for counted in (self._rule_errors, *(each.rule_errors for each in pipelines if each.rule_errors)):
            errors.update(dict(counted))  # a copy: lanes add to it
        return errors

    # --- the start and the end --------------------------------------------------------------------------

    def adopt(self, prepared: Mapping[str, Watched]) -> None:
        """At the start: these it will be; `start` sets them to work."""
        self.watched = prepared

    def start(self) -> None:
        self._start(self.watched.values())
        self._resolve_orphans()
        self.catch_up()

    def stop(self) -> None:
        """No more work; the ticker is stopped before. What runs may finish."""
        for one in self.watched.values():
            one.target.stop()

    def interrupt(self) -> None:
        """End what still runs."""
        for target in (*(one.target for one in self.watched.values()), *self._leaving):
            target.interrupt()

    def _start(self, some: Collection[Watched]) -> None:
        spread_s = 0.0 if len(some) < MANY else SPREAD_S
        for one in some:
            one.recorder.publish(incidents=one.engine.open())
            one.target.start(self._grounds.ticker, spread_s)

    def _resolve_orphans(self) -> None:
        """Incidents of targets that the configuration no longer has cannot be judged by anyone."""
        stored = {incident.target for incident in self._grounds.store.incidents.open()}
        for name in sorted(stored - self.watched.keys() - {OWN}):
            engine = self._engine(name, {}, {}, Memory())
            engine.retire()
            engine.load(self._grounds.now())
            self._grounds.owed.add(_debt(name), partial(self._caught_up, engine))

    # --- a new configuration ----------------------------------------------------------------------------

    def prepare(self, settings: Settings) -> Mapping[str, Watched]:
        """The targets of `settings` that are new, or reached in another way. Raises StoreError; nothing has
        changed then, nor has anything yet.
        """
        return {
            target.name: self._built(target, settings)
            for target in settings.targets
            if self._must_be_built(target)
        }

    def _must_be_built(self, target: TargetSettings) -> bool:
        present = self.watched.get(target.name)
        if present is None:
            return True
        before = present.settings
        return (before.server, before.kind) != (target.server, target.kind)

    def apply(self, settings: Settings, prepared: Mapping[str, Watched]) -> None:
        """Go over to `settings`. Who is not in `prepared` keeps connections, baselines and counters."""
        before = self.watched
        names = {target.name for target in settings.targets}
        for name in before.keys() & prepared.keys():
            self._retire(before[name])
        for name in before.keys() - names:
            self._let_go(name)
        self.watched = {
            target.name: prepared.get(target.name) or self._adapted(before[target.name], target, settings)
            for target in settings.targets
        }
        for name, one in prepared.items():
            one.engine.configure(one.settings.labels, rules_of(settings, name))
        self._start(prepared.values())
        self._leaving = [target for target in self._leaving if not target.ended]

    def catch_up(self) -> None:
        """Have the incidents follow rules, labels and routes, as soon as the store can be written."""
        for name, one in self.watched.items():
            self._grounds.owed.add(_debt(name), partial(self._caught_up, one.engine, one.recorder))

    def act(self, target: str, action: Action) -> Outcome | None:
        """What somebody does to an incident of that target; None when nobody watches it, or the incident is long over.
        Raises StoreError.
        """
        one = self.watched.get(target)
        if one is None:
            return None
        try:
            return one.engine.act(action, self._grounds.now())
        finally:
            one.recorder.publish(incidents=one.engine.open())

    def fired(self) -> list[Incident]:
        """What is open at all targets."""
        return [incident for one in self.watched.values() for incident in one.engine.open()]

    def _let_go(self, name: str) -> None:
        gone = self.watched[name]
        self._retire(gone)
        gone.engine.retire()
        self._grounds.board.withdraw(name)
        self._grounds.owed.add(_debt(name), partial(self._caught_up, gone.engine))

    def _retire(self, one: Watched) -> None:
        """Its lanes end by themselves; nothing that they still bring counts."""
        one.pipeline.close()
        one.recorder.close()
        one.target.retire()
        self._leaving.append(one.target)
        self._rule_errors.update(dict(one.pipeline.rule_errors))

    def _caught_up(self, engine: Engine, recorder: Recorder | None = None) -> bool:
        engine.catch_up(self._grounds.now())
        if recorder is not None:
            recorder.publish(incidents=engine.open())
        return True

    def _adapted(self, present: Watched, target: TargetSettings, settings: Settings) -> Watched:
        rules = rules_of(settings, target.name)
        present.engine.configure(target.labels, rules)
        present.pipeline.configure(rules)
        present.pipeline.disk_size_bytes = target.disk_size_bytes
        present.statements.configure(
            top_k=settings.metrics.top_k, interval_s=settings.collector("statements").interval_s
        )
        present.target.reschedule(scheduled(settings, target.kind))
        before = present.settings
        if (before.databases, before.exclude_databases) != (target.databases, target.exclude_databases):
            present.target.follow(target.wants_database, target.databases)
        if before.labels != target.labels:
            present.recorder.publish(labels=target.labels)
        return replace(present, settings=target)

    def _peers(self, name: str) -> tuple[Peer, ...]:
        """The other targets that are the same cluster."""
        me = self.watched.get(name)
        cluster = None if me is None or me.pipeline.facts is None else me.pipeline.facts.system_identifier
        if cluster is None:
            return ()
        return tuple(peer for peer in self._members(cluster) if peer.name != name)

    def _members(self, cluster: int) -> Sequence[_Peer]:
        """The targets of a cluster, looked up at most once a second: each reading of each target asks."""
        now_s = self._grounds.now().mono_s
        looked = self._clusters
        if now_s - looked.at_s >= _LOOK_S or looked.of is not self.watched:
            looked = self._clusters = _Clusters.now(self.watched, now_s)
        return looked.members.get(cluster, ())

    # --- the parts --------------------------------------------------------------------------------------

    def _built(self, settings: TargetSettings, configuration: Settings) -> Watched:
        grounds, name = self._grounds, settings.name
        rules = rules_of(configuration, name)
        present = self.watched.get(name)
        memory = grounds.memory(name) if present is None else present.pipeline.memory
        if present is None:
            engine = self._engine(name, settings.labels, rules, memory)
            engine.load(grounds.now())
        else:
            engine = present.engine
        view = TargetView(name=name, labels=settings.labels, kind=settings.kind)
        recorder = Recorder(view, grounds.board)
        statements = Statements(
            name,
            grounds.store.texts,
            top_k=configuration.metrics.top_k,
            interval_s=configuration.collector("statements").interval_s,
            ran=grounds.ran,
        )
        pipeline = Pipeline(
            name,
            now=grounds.now,
            rules=rules,
            engine=engine,
            recorder=recorder,
            statements=statements,
            memory=memory,
            peers=partial(self._peers, name),
            disk_size_bytes=settings.disk_size_bytes,
            kind=settings.kind,
            keep=grounds.keep,
        )
        dsn = settings.server
        following = Following(settings.wants_database, settings.databases)
        target = Target(
            name,
            now=grounds.now,
            workers=grounds.workers,
            connect=lambda database: connect(
                dsn, kind=settings.kind, limits=grounds.limits, database=database
            ),
            scheduled=scheduled(configuration, settings.kind),
            following=following,
            pipeline=pipeline,
            recorder=recorder,
            kind=settings.kind,
        )
        return Watched(
            settings=settings,
            engine=engine,
            recorder=recorder,
            statements=statements,
            pipeline=pipeline,
            following=following,
            target=target,
        )

    def _engine(
        self, name: str, labels: Mapping[str, str], rules: Mapping[str, BoundRule], memory: Memory
    ) -> Engine:
        grounds = self._grounds
        noticing = Noticing(lambda feed: memory.changes(feed, None), lambda: memory.revision)
        return Engine(
            name,
            labels,
            rules,
            grounds.store.incidents,
            grounds.route,
            grounds.committed,
            self._elsewhere,
            silenced=grounds.silenced,
            near=grounds.near,
            noticed=noticing.near,
            relations=grounds.relations,
        )


def rules_of(settings: Settings, target: str) -> Mapping[str, BoundRule]:
    """Those that will get readings. Where all that a rule judges is switched off, so is the rule."""
    off = {name for name, section in settings.collectors.items() if not section.enabled}
    bound = settings.bound_rules(target)
    return {name: rule for name, rule in bound.items() if {*rule.rule.watches} - off}


def _debt(name: str) -> str:
    return f"target {name}"
