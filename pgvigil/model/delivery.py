"""What a destination must reflect, and what it already does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pgvigil.model.incident import State
from pgvigil.model.level import Level


class ActKind(StrEnum):
    """POST and REPLY create something, so repeating one is a duplicate; EDIT may be repeated freely."""

    POST = "post"
    EDIT = "edit"
    REPLY = "reply"


class Told(StrEnum):
    """Why a reply is worth hearing."""

    STILL = "still"  # it goes on as it was, and people are to hear of it once more
    WORSE = "worse"
    REOPENED = "reopened"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Act:
    """One call to a destination. `key` is what reconciliation looks for. `nth` is the number of a reminder, which may
    be one of several of a version.
    """

    kind: ActKind
    incident_id: int
    version: int
    told: Told | None = None
    nth: int = 0

    @property
    def key(self) -> str:
        return f"{self.incident_id}:{self._place}:{self.kind}"

    @classmethod
    def of_key(cls, key: str) -> "Act":
        """The act that has `key`, as far as that says."""
        incident_id, place, kind = key.split(":")
        version, _, nth = place.partition(".")
        return cls(ActKind(kind), int(incident_id), int(version), nth=int(nth or 0))

    @property
    def label(self) -> str:
        """Tells it from every other of its incident, for destinations that know a message by a name of ours."""
        return f"{self._place}-{self.told or self.kind}"

    @property
    def _place(self) -> str:
        return f"{self.version}.{self.nth}" if self.nth else str(self.version)

    @classmethod
    def lost(cls, incident_id: int, highest: int) -> "Act":
        """Anything that a time may have told of which the store knows nothing: about this incident, or about one
        with its fault and a number above `highest`.
        """
        return cls(ActKind.POST, incident_id, -highest - 1)

    @property
    def lost_above(self) -> int | None:
        """The `highest` of such an act; None for any other."""
        return -self.version - 1 if self.version < 0 else None

    @property
    def creates(self) -> bool:
        return self.kind is not ActKind.EDIT


@dataclass(frozen=True, slots=True)
class Recalled:
    """A message that is there though the store does not know it, and what people last heard of it."""

    remote: Mapping[str, str]
    state: State
    level: Level


class DeliveryStatus(StrEnum):
    DUE = "due"
    SENDING = "sending"  # an act was begun; after a crash this means ambiguous
    AMBIGUOUS = "ambiguous"  # it may have arrived: reconcile before sending again
    SETTLED = "settled"
    PARKED = "parked"  # the destination is misconfigured; tried again slowly, said loudly
    LEFT = "left"  # the sink is no longer configured; should it return, it is told how it went on


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row: "sink S must reflect incident I at version >= want_version".

    `seen_*` is what people there last saw, `remote` the sink's handle on its message (channel, ts), and
    `thread` that on the digest in whose thread it stands or, while there is none, has to be posted.
    `act_key`, `act_at` name the creating act in flight; `maybe_seen` is what it tells, after what is told by
    earlier ones that may have arrived and could not be looked for. `mention` is the route's, for what must be heard;
    `why` says in words why people hear of it there, or only now, where that is not plain. `told_at` is when they last
    heard something; reminders are counted, those that are wanted and those that are done with.
    """

    incident_id: int
    sink: str
    want_version: int
    urgency: Level
    due_since: datetime
    status: DeliveryStatus = DeliveryStatus.DUE
    mention: str = ""
    why: str = ""
    want_reminder: int = 0
    seen_reminder: int = 0
    told_at: datetime | None = None
    seen_version: int = 0
    seen_state: State | None = None
    seen_level: Level | None = None
    remote: Mapping[str, str] = field(default_factory=dict)
    thread: Mapping[str, str] = field(default_factory=dict)
    act_key: str | None = None
    act_at: datetime | None = None
    maybe_seen: tuple[tuple[State, Level], ...] = ()
    attempts: int = 0
    not_before: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Want:
    """Sink `sink` must reflect the incident of the `index`-th transition of the same commit.

    An index, because an incident that opens in this very commit has no id yet. `urgency` orders the queue
    of the sink; `mention` is the route's, for what must be heard, and `why` see `Delivery`.
    """

    index: int
    sink: str
    urgency: Level
    mention: str = ""
    why: str = ""


class DeliveryFailure(StrEnum):
    """What the outbox does next depends on this and on nothing else."""

    RATE_LIMITED = "rate_limited"  # wait retry_after_s; not an attempt
    TRANSIENT = "transient"  # nothing arrived: try again with back-off
    AMBIGUOUS = "ambiguous"  # it may have arrived: look before sending again
    REJECTED = "rejected"  # the content, even at its simplest: a defect of ours
    MISCONFIGURED = "misconfigured"  # token, channel, scope: people must act
    GONE = "gone"  # the message was deleted: post a new root


class DeliveryError(Exception):
    """Raised by a sink. The message is safe to log."""

    def __init__(self, kind: DeliveryFailure, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s


class CannotLookError(Exception):
    """The sink has no way to see what it sent before (no scope, or a webhook)."""
