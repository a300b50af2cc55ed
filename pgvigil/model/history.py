"""What is remembered of a target's readings over restarts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pgvigil.model.change import Change


class Place(NamedTuple):
    """A feed, and the database where it is read in each; None where it is about the server."""

    feed: str
    database: str | None


class SeriesName(NamedTuple):
    """One series of one place."""

    place: Place
    series: str
    key: str


@dataclass(frozen=True, slots=True)
class KeptSeries:
    """`points` as `pgvigil.track` packs them; `seen_at` is when the last one was read."""

    name: SeriesName
    epoch: str
    points: bytes
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class KeptJournal:
    """What a journal said when it was last read."""

    place: Place
    known: Mapping[str, str]
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class KeptChange:
    """A change, and whose journal it is of."""

    place: Place
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that is remembered of one target. `cluster` is the system identifier of whom; None: not known."""

    cluster: int | None = None
    series: Sequence[KeptSeries] = ()
    journals: Sequence[KeptJournal] = ()
    changes: Sequence[KeptChange] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaved:
    """What the store lacks of one target, in the order in which it is to be done.

    `anew`: everything before is of another cluster. `gone` is no longer remembered: series by name, feeds (but for
    their changes), databases. `seen` are journals that say what they said, at a later time.
    """

    anew: bool = False
    cluster: int | None = None
    gone_series: Collection[SeriesName] = ()
    gone_feeds: Collection[str] = ()
    gone_databases: Collection[str] = ()
    series: Sequence[KeptSeries] = ()
    journals: Sequence[KeptJournal] = ()
    seen: Mapping[Place, datetime]
    changes: Sequence[KeptChange] = ()

    @property
    def rows(self) -> int:
        """About how many it is to write."""
        return len(self.series) + len(self.journals) + len(self.seen) + len(self.changes)
