"""One reading of one collector on one session: the same for the daemon and for `pgvigil check`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.clock import Now
from daemon.settings.settings import Settings
from pgvigil.model.facts import Facts
from pgvigil.model.kind import TargetKind
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector, LaneKind
from pgvigil.postgres.session import Session
from pgvigil.registry import collectors


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A collector with the interval in force for this target."""

    collector: Collector[Any]
    interval_s: float

    def lacks(self, facts: Facts) -> str | None:
        """The extension that it needs and that the database of `facts` does not have."""
        needed = self.collector.extension
        return needed if needed is not None and needed not in facts.extensions else None


def scheduled(settings: Settings, kind: TargetKind = TargetKind.POSTGRES) -> dict[str, Scheduled]:
    """The collectors for targets of this kind that are switched on, by name."""
    return {
        name: Scheduled(collector, settings.collector(name).interval_s)
        for name, collector in _fitting(kind).items()
        if settings.collector(name).enabled
    }


def switched_off(settings: Settings, kind: TargetKind = TargetKind.POSTGRES) -> set[str]:
    """The names of the others that are for targets of this kind."""
    return {name for name in _fitting(kind) if not settings.collector(name).enabled}


def _fitting(kind: TargetKind) -> dict[str, Collector[Any]]:
    return {name: collector for name, collector in collectors().items() if collector.fits(kind)}


def home_extensions(collectors: Iterable[Scheduled]) -> set[str]:
    """What the collectors of the server need of the one database that they sit in."""
    of_server = (each.collector for each in collectors if each.collector.lane is LaneKind.SERVER)
    return {collector.extension for collector in of_server if collector.extension is not None}


def read(
    target: str, scheduled: Scheduled, database: str | None, session: Session, now: Now
) -> Snapshot[Any]:
    """What the collector reads on `session`, within its own time-out. Raises ReadError."""
    collector = scheduled.collector
    began = now()
    with session.within(collector.timeout_s):
        rows = collector.read(session)
    ended = now()
    return Snapshot(
        target=target,
        collector=collector.name,
        database=database,
        taken_at=ended.utc,
        mono_s=ended.mono_s,
        duration_s=ended.mono_s - began.mono_s,
        interval_s=scheduled.interval_s,
        rows=rows,
    )


def in_databases(scheduled: Mapping[str, Scheduled]) -> list[Scheduled]:
    """Those that read in each database, not on the server as a whole."""
    return [one for one in scheduled.values() if one.collector.lane is not LaneKind.SERVER]


def own_reading(target: str, feed: str, rows: Any, interval_s: float, moment: Moment) -> Snapshot[Any]:
    """A reading that pgvigil makes of itself: that a target cannot be reached, how fresh the others are."""
    return Snapshot(
        target=target,
        collector=feed,
        database=None,
        taken_at=moment.utc,
        mono_s=moment.mono_s,
        duration_s=0.0,
        interval_s=interval_s,
        rows=rows,
    )
