"""What the daemon knows right now, as ready-made frozen values: metrics, API and page read only this."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pgvigil.model.availability import Availability
from pgvigil.model.facts import Facts
from pgvigil.model.failure import Failure
from pgvigil.model.incident import Incident
from pgvigil.model.kind import TargetKind
from pgvigil.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """By how much the intervals of a target are longer than configured, since when, and the last sign of load."""

    factor: int = 1
    reason: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorView:
    """One collector of one target, or of one database of it. `errors` counts by failure kind since start.

    `interval_s` is the one in force: `stretch` times the configured one, for `stretch_reason`.
    """

    collector: str
    database: str | None
    interval_s: float
    last_success_at: datetime | None = None
    last_duration_s: float | None = None
    last_failure: Failure | None = None  # None again after a success
    runs: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    missed_ticks: int = 0
    stretch: int = 1
    stretch_reason: str = ""

    @property
    def configured_interval_s(self) -> float:
        return self.interval_s / self.stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSeries:
    """Cumulative counters of one statement since the daemon began to follow it; queryid None is `other`."""

    database: str
    queryid: int | None
    calls: float
    exec_s: float
    rows: float
    shared_blocks: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TopStatement:
    """What one statement did in the last minutes. `text` is redacted, and None while it is not known.

    `share` is its part of the execution time of all statements, from 0 to 1. `own` marks pgvigil's own queries.
    """

    database: str
    queryid: int
    text: str | None
    own: bool
    calls: int
    exec_s: float
    rows: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopStatements:
    """The heaviest statements between `since` and `until`, the heaviest first; `exec_s` is the time of all."""

    since: datetime
    until: datetime
    elapsed_s: float
    exec_s: float
    statements: tuple[TopStatement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCount:
    database: str
    state: str
    sessions: int


@dataclass(frozen=True, slots=True)
class Exported:
    """One family of one reading as Prometheus text: two header lines, and a line for each sample."""

    header: str
    samples: str
    counter: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """One target at one moment. A gauge that is not known (target down, collector failing) is None or empty."""

    name: str
    labels: Mapping[str, str]
    kind: TargetKind = TargetKind.POSTGRES
    first_tried_at: datetime | None = None  # None until the first attempt has ended, well or badly
    availability: Availability | None = None
    facts: Facts | None = None
    databases: tuple[str, ...] = ()
    not_covered: Mapping[str, str] = field(default_factory=dict)  # database -> why it cannot be read
    collectors: tuple[CollectorView, ...] = ()
    sessions: tuple[SessionCount, ...] = ()
    waiters: int | None = None
    longest_wait_s: float | None = None
    oldest_transaction_at: datetime | None = None
    statements: tuple[StatementSeries, ...] = ()
    top: TopStatements | None = None  # None until two readings can be compared, and where top_k is 0
    vitals: tuple[Exported, ...] = ()
    stretch: Stretch = field(default_factory=Stretch)
    incidents: tuple[Incident, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def role(self) -> str | None:
        """primary, standby, or pooler; None while it is not known."""
        if self.kind is TargetKind.PGBOUNCER:
            return "pooler"
        if self.facts is None:
            return None
        return "standby" if self.facts.in_recovery else "primary"

    @property
    def up(self) -> bool:
        """True only when the last real query was answered."""
        return self.availability is not None and self.availability.up


class Board:
    """The latest view of each target. Publishing replaces a reference, so readers need no lock.

    `problems` are those of pgvigil's own set-up, which no target's view has: store, sinks, routes, rules; `incidents`
    the open ones of pgvigil itself, replaced as a whole.
    """

    def __init__(self) -> None:
        self._targets: dict[str, TargetView] = {}
        self._problems: dict[str, Problem] = {}
        self.incidents: tuple[Incident, ...] = ()
        self._changing = threading.Lock()  # two writers at once would lose what one of them wrote

    def publish(self, view: TargetView) -> None:
        with self._changing:
            self._targets = {**self._targets, view.name: view}

    def withdraw(self, target: str) -> None:
        with self._changing:
            self._targets = {name: view for name, view in self._targets.items() if name != target}

    def note(self, key: str, problem: Problem | None) -> bool:
        """Note or clear what people must mend in pgvigil's own set-up; True when that is news."""
        with self._changing:
            before = self._problems.get(key)
            others = {name: known for name, known in self._problems.items() if name != key}
            self._problems = others if problem is None else {**others, key: problem}
            return before != problem

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._problems.values())

    @property
    def targets(self) -> tuple[TargetView, ...]:
        """All views, by name."""
        return tuple(self._targets[name] for name in sorted(self._targets))

    def target(self, name: str) -> TargetView | None:
        return self._targets.get(name)
