"""Many things said in one message."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One incident in a digest. `note` says what is new about it; `remote` and `thread` are those of its delivery."""

    incident: Incident
    note: str = ""
    remote: Mapping[str, str] = field(default_factory=dict)
    thread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """`lines` are the worst first; `more` is how many did not fit."""

    title: str
    lines: tuple[Line, ...]
    more: int = 0

    @property
    def count(self) -> int:
        return len(self.lines) + self.more


class DigestCause(StrEnum):
    """Why many things are to be said at once."""

    PAUSE = "pause"  # nobody looked for a while
    STORM = "storm"  # too many began within a short time


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One message about what happened from `since` to `until`. `part` rises when it goes on in another message.

    `mention` is the union of those of the incidents in it that must be heard; `footer` says what this message is.
    """

    id: int
    part: int
    title: str
    since: datetime
    until: datetime
    sections: tuple[Section, ...] = ()
    mention: str = ""
    footer: str = ""
    cause: DigestCause = DigestCause.PAUSE

    @property
    def key(self) -> str:
        """What reconciliation looks for. The stamp tells two pgvigils in one channel apart."""
        return f"{self.id}:{self.part}:{self.since.isoformat()}"


@dataclass(frozen=True, slots=True)
class Sight:
    """What a digest tells of one incident."""

    incident_id: int
    version: int
    state: State
    level: Level


class DigestStatus(StrEnum):
    WAITING = "waiting"  # for the first look around, or to be tried again
    SENDING = "sending"  # a call was begun; after a crash this means ambiguous
    AMBIGUOUS = "ambiguous"  # it may have arrived: reconcile before sending again


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestDelivery:
    """One row: "sink S is to hear in one message what happened from `since` to `until`", until that is done.

    `settle_by` is when to look no longer around first. `told` is what the call in flight, begun at `act_at`,
    tells, after what earlier ones told that may have arrived and could not be looked for.
    """

    id: int
    sink: str
    since: datetime
    until: datetime
    settle_by: datetime
    cause: DigestCause = DigestCause.PAUSE
    part: int = 1
    status: DigestStatus = DigestStatus.WAITING
    act_at: datetime | None = None
    told: tuple[Sight, ...] = ()
    attempts: int = 0
    not_before: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """A digest that was told, and goes on for as long as many incidents begin at a sink.

    `remote` is the handle of its message, empty where nothing can be edited; `roster` is what was last told of which
    incident, `told_at` when.
    """

    sink: str
    digest_id: int
    part: int
    since: datetime
    told_at: datetime
    remote: Mapping[str, str] = field(default_factory=dict)
    roster: tuple[Sight, ...] = ()

    def joined(self, told: tuple[Sight, ...], at: datetime) -> "Storm":
        """The same after `told` was told as well."""
        latest = {sight.incident_id: sight for sight in (*self.roster, *told)}
        return replace(self, roster=tuple(latest.values()), told_at=at)
