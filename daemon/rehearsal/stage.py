"""One target without a server: the real pipeline and the real incidents, on a clock that is moved by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alerts.bound import BoundRule
from alerts.engine import Engine, IncidentStore
from daemon.board import Board, TargetView
from daemon.clock import system_now
from daemon.memory import Memory
from daemon.pipeline import Pipeline
from daemon.recorder import Recorder
from daemon.statements import Statements, Unstored
from pgvigil.model.action import Action
from pgvigil.model.delivery import Want
from pgvigil.model.facts import Facts
from pgvigil.model.incident import Incident, Transition
from pgvigil.model.kind import TargetKind
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector, Peer


class Unkept:
    """A store of incidents that forgets: see `alerts.engine.IncidentStore`."""

    def __init__(self) -> None:
        self._ids = 0

    def commit(
        self, transitions: Sequence[Transition], wants: Sequence[Want], done: Sequence[Action] = ()
    ) -> list[Incident]:
        del wants, done  # nobody is told, and nobody acts
        return [one.after if one.after.id else replace(one.after, id=self._next()) for one in transitions]

    def _next(self) -> int:
        self._ids += 1
        return self._ids

    def announce(self, incidents: Sequence[Incident], wants: Sequence[Want]) -> int:
        del incidents, wants
        return 0

    def open(self, target: str) -> list[Incident]:
        del target
        return []

    def recent(self, target: str, since: datetime) -> list[Incident]:
        del target, since
        return []


class Stage:
    """`engine` and `pipeline` are those of the daemon; `now` is the clock that they go by."""

    def __init__(
        self,
        target: str,
        rules: Mapping[str, BoundRule],
        incidents: IncidentStore | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        peers: Callable[[], tuple[Peer, ...]] = tuple,
        disk_size_bytes: float | None = None,
        kind: TargetKind = TargetKind.POSTGRES,
        start: datetime | None = None,
    ) -> None:
        """The clock begins at `start`, or at the present."""
        self.target = target
        self.rules = rules
        now = system_now()
        self._moment = now if start is None else Moment(start, now.mono_s)
        self.engine = Engine(target, labels or {}, rules, incidents or Unkept(), lambda _: (), lambda _: None)
        self.engine.load(self.now())
        self.pipeline = Pipeline(
            target,
            now=self.now,
            rules=rules,
            engine=self.engine,
            recorder=Recorder(TargetView(name=target, labels={}), Board()),
            statements=Statements(target, Unstored(), top_k=0, interval_s=60.0),
            memory=Memory(),
            peers=peers,
            disk_size_bytes=disk_size_bytes,
            kind=kind,
        )

    def now(self) -> Moment:
        return self._moment

    def read(
        self,
        collector: Collector[Any],
        database: str | None,
        payload: Any,
        facts: Facts,
        *,
        interval_s: float,
        taken_at: datetime | None = None,
    ) -> None:
        """A reading comes: now, or a moment ago. It is remembered and judged."""
        moment = self.now()
        snapshot = Snapshot(
            target=self.target,
            collector=collector.name,
            database=database,
            taken_at=taken_at or moment.utc,
            mono_s=moment.mono_s,
            duration_s=0.0,
            interval_s=interval_s,
            rows=payload,
        )
        self.pipeline.remember(snapshot, collector, facts)
        self.pipeline.judge(snapshot, facts)

    def wait(self, seconds: float) -> None:
        """Time passes, and nothing is read."""
        before = self._moment
        self._moment = Moment(before.utc + timedelta(seconds=seconds), before.mono_s + seconds)
