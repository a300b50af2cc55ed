"""A target in one process: collectors on real sessions, the real pipeline and incidents, a clock moved by hand.

For scenes of rules: stage the fault on a real server, `look`, see what fires; mend it, `look`, see it resolve. What
`for`, `keep_firing_for` and forecasts wait for passes at once, because only the test's clock moves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alerts.bound import BoundRule
from daemon.reading import Scheduled, read
from daemon.rehearsal.stage import Stage
from daemon.settings.plugins import Plugins
from pgvigil.model.facts import Facts
from pgvigil.model.incident import Incident, State
from pgvigil.model.kind import TargetKind
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import LaneKind, Peer
from pgvigil.postgres.session import Session
from pgvigil.store import Store
from tests.support import throwaway
from tests.support.polling import poll

Readings = Mapping[str, Snapshot[Any]]
Until = Callable[[Readings], object]

PLUGINS = Plugins.installed()
_NOT_JUDGED = {"threshold", *throwaway.NOT_JUDGED}


class Vitals(Stage):
    """`rules` are those to judge with, and their parameters where they are not the defaults: {"deadlocks": {}}.

    Without `rules` all of them judge, with their defaults: a healthy scene stays silent under all.
    """

    def __init__(
        self,
        store: Store,
        rules: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        target: str = "shop",
        peers: Callable[[], tuple[Peer, ...]] = tuple,
        disk_size_bytes: float | None = None,
        kind: TargetKind = TargetKind.POSTGRES,
    ) -> None:
        chosen: Mapping[str, Mapping[str, Any]] = (
            {name: throwaway.PARAMS.get(name, {}) for name in PLUGINS.rules if name not in _NOT_JUDGED}
            if rules is None
            else rules
        )
        bound = {
            name: BoundRule(PLUGINS.rules[name], PLUGINS.rules[name].params.model_validate(params))
            for name, params in chosen.items()
        }
        super().__init__(
            target, bound, store.incidents, peers=peers, disk_size_bytes=disk_size_bytes, kind=kind
        )
        feeds = {feed for bound in self.rules.values() for feed in bound.rule.watches}
        self.collectors = {
            name: Scheduled(each, each.interval_s)
            for name, each in PLUGINS.collectors.items()
            if name in feeds and each.fits(kind)
        }

    def look(self, session: Session, *, after_s: float = 0.0, until: Until | None = None) -> Readings:
        """After `after_s` read everything that the rules watch on `session`, and judge it; the readings by collector.

        Collectors of databases read the session's database, those of the server the whole server. What a server counts
        can be seen a moment later, before 15 up to a second: with `until` it is read anew, at the same moment of the
        test's clock, until that is true of the readings, and only those are judged.
        """
        self.wait(after_s)
        self.pipeline.facts = session.facts
        taken = self._read(session) if until is None else self._read_until(session, until)
        for snapshot in taken.values():
            self.take(snapshot, session)
        return taken

    def _read_until(self, session: Session, until: Until) -> Readings:
        def wanted() -> Readings | None:
            taken = self._read(session)
            return taken if until(taken) else None

        return poll(wanted, message="the readings show what the scene staged") or {}

    def _read(self, session: Session) -> Readings:
        taken: dict[str, Snapshot[Any]] = {}
        for name, scheduled in self.collectors.items():
            if scheduled.lacks(session.facts) is None:
                server = scheduled.collector.lane is LaneKind.SERVER
                database = None if server else session.facts.database
                taken[name] = read(self.target, scheduled, database, session, self.now)
        return taken

    def take(self, snapshot: Snapshot[Any], session: Session) -> Snapshot[Any]:
        """Judge a reading, as it is or made by hand."""
        self.pipeline.memory.take(snapshot, self.collectors[snapshot.collector].collector)
        self.pipeline.take(snapshot, session)
        return snapshot

    @property
    def as_peer(self) -> Peer:
        """For the scene of another server of the same cluster."""
        return _Peer(self)

    @property
    def open(self) -> dict[str, Incident]:
        """Incidents that have not resolved, pending ones too, by subject."""
        return {incident.subject: incident for incident in self.engine.open()}

    @property
    def firing(self) -> dict[str, Incident]:
        """Those that fire now, by subject."""
        return {subject: each for subject, each in self.open.items() if each.state is State.FIRING}

    @property
    def loud(self) -> list[str]:
        """What fires above info, one line each: nothing, on a healthy server."""
        return [
            f"{each.rule} {each.severity.word}: {each.summary}"
            for each in self.firing.values()
            if each.severity > Level.INFO
        ]


@dataclass(frozen=True, slots=True)
class _Peer:
    """See `pgvigil.plugins.Peer`. It has answered whenever it was looked at."""

    scene: Vitals
    up: bool = True

    @property
    def name(self) -> str:
        return self.scene.target

    @property
    def facts(self) -> Facts | None:
        return self.scene.pipeline.facts

    def latest(self, feed: str, database: str | None = None) -> Snapshot[Any] | Delta[Any] | None:
        return self.scene.pipeline.latest(feed, database)
