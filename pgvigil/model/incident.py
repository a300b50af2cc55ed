"""A finding with a history."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pgvigil.model.evidence import Evidence, Step
from pgvigil.model.finding import fingerprint
from pgvigil.model.level import Level


class State(StrEnum):
    PENDING = "pending"
    FIRING = "firing"
    UNKNOWN = "unknown"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One episode of one fault. `id` is 0 until the store has given one; people see it as `INC-7`.

    `version` rises with every change that a destination should reflect. `severity` is what it is now,
    `peak` the worst it was. `suppressed_by` names the reason why nobody is to be disturbed (an incident id
    such as `INC-3` of the target that is down, or of the chain that contains this session); `parent_id` is
    that incident. `acknowledged_level` is how bad it was when somebody took it on.
    `unattended_since` is since when it goes on without any mark; `was_silenced_by` the silence that ended before that.
    `silencer` is who made the one of `silenced_by`, and `silenced_until` its end.
    Stamps are aware UTC; durations are measured elsewhere, by the monotonic clock.
    """

    id: int
    rule: str
    target: str
    database: str | None
    subject: str
    state: State
    severity: Level
    peak: Level
    version: int
    summary: str
    value: float | None
    peak_value: float | None
    pending_since: datetime
    fired_at: datetime | None
    last_true_at: datetime
    state_since: datetime
    evaluated_at: datetime
    resolved_at: datetime | None = None
    reason: str = ""  # why it is unknown, or how it resolved
    evidence: Evidence = field(default_factory=Evidence)
    steps: tuple[Step, ...] = ()
    about: frozenset[str] = frozenset()
    explains: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str], ...] = ()  # the target's labels: routes match on them
    reopened: int = 0
    parent_id: int | None = None
    suppressed_by: str | None = None
    silenced_by: str | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_level: Level | None = None
    unattended_since: datetime | None = None
    was_silenced_by: str | None = None
    silencer: str | None = None
    silenced_until: datetime | None = None

    @property
    def name(self) -> str:
        return f"INC-{self.id}"

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.rule, self.target, self.database, self.subject)

    @property
    def open(self) -> bool:
        return self.state is not State.RESOLVED

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks beside the state, in words."""
        present = (
            ("acknowledged", self.acknowledged_by),
            ("silenced", self.silenced_by),
            ("suppressed", self.suppressed_by),
        )
        return tuple(word for word, by in present if by)


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one incident. `before` is None when it is new; `kind` is a word for log and history:
    opened, fired, worse, better, refreshed, unknown, known, resolved, reopened, dropped (a pending one that
    never fired), suppressed, unsuppressed, acknowledged, unacknowledged,
    silenced, unsilenced.
    """

    kind: str
    before: Incident | None
    after: Incident
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of an incident's history: a transition that was more than new figures."""

    at: datetime
    kind: str
    version: int
    why: str
    severity: Level
    state: State
