"""The shapes of plug-ins. A plug-in is a value in a file of its own name; see `registry`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pgvigil.model.certificate import Certificate
from pgvigil.model.change import Change
from pgvigil.model.delivery import Act, Delivery, Recalled
from pgvigil.model.digest import Digest
from pgvigil.model.facts import Facts
from pgvigil.model.finding import Judgement
from pgvigil.model.incident import Incident
from pgvigil.model.kind import TargetKind
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.model.series import Point, Sample
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.model.together import Together
from pgvigil.postgres.query import Query
from pgvigil.problems import Problem
from pgvigil.receiver import Receiver
from pgvigil.units import DurationS, Percent, SizeBytes

Payload = TypeVar("Payload")
P = TypeVar("P", bound="RuleParams")


class LaneKind(StrEnum):
    """Where a collector runs: one connection and one job at a time each."""

    SERVER = "server"
    DATABASES = "databases"
    HEAVY = "heavy"


class Params(BaseModel):
    """The base of every plug-in's configuration section: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


# --- collectors -------------------------------------------------------------------------------------------


class Reader(Protocol):
    """What a collector is given: one session, already under every limit."""

    @property
    def facts(self) -> Facts: ...

    def rows(self, query: Query[Any], parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
        """All rows of `query`, typed as its row class; raises `pgvigil.postgres.errors.ReadError`."""

    def frame(self, query: Query[Any], parameters: Mapping[str, Any] | None = None) -> Any:
        """The rows of `query` as numpy columns (see `pgvigil.postgres.frames.Frame`)."""

    def certificate(self) -> Certificate | None:
        """The server's TLS certificate; None where it offers no TLS. Raises ReadError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[Payload]):
    """One exported metric, `pgvigil_{name}` (a counter also gets `_total`), with a sample for each row that has a value.

    Base units in the name, stamps and not ages. `labels` come after `target`, and after `database` where the
    collector reads each database. Their values are names from a bounded catalogue, never statements, addresses or
    pids. A counter is the server's own, resets included; `rate()` handles those. With `summed` it is ours: what each
    reading saw is added to what those before it did, since pgvigil began to read the target.
    """

    name: str
    help: str
    rows: Callable[[Payload], Iterable[Any]]
    value: Callable[[Any], float | None]
    labels: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    counter: bool = False
    summed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector(Generic[Payload]):
    """Reads one view of one server, or of one database on the databases lane.

    A target without the `extension` named here has the collector switched off, once, with a Problem.
    `tables` takes the rows of a query, by the query's name, back out of what the collector's feed carries:
    the payload, or for `statements` the changes.

    `families` are exported. `series` are remembered over time, also over restarts, for rates and forecasts: keep
    them few (the largest relations, not all). `journal` gives what is to be compared with before, by key, and its
    changes are remembered: settings, roles, the timeline. `problems` are those of the set-up that a reading shows,
    such as what the role may not see. `fixed_pace` keeps the interval while the target is busy. `idle` says of a
    reading that there is nothing here for this collector; such a database is read far more rarely. `kind` is the kind of
    target that it is for; None is any. A collector of many queries begins no other
    one when `budget_s` has passed.
    """

    name: str
    summary: str
    lane: LaneKind
    interval_s: float
    timeout_s: float
    queries: tuple[Query[Any], ...]
    read: Callable[[Reader], Payload]
    extension: str | None = None
    tables: Mapping[str, Callable[[Any], Sequence[Any]]] = field(default_factory=dict)
    kind: TargetKind | None = TargetKind.POSTGRES
    families: tuple[Family[Payload], ...] = ()
    series: Mapping[str, Callable[[Payload], Iterable[Sample]]] = field(default_factory=dict)
    journal: Callable[[Payload], Mapping[str, str]] | None = None
    problems: Callable[[Snapshot[Payload], Facts], Iterable[Problem]] | None = None
    fixed_pace: bool = False
    idle: Callable[[Payload], bool] | None = None
    budget_s: float | None = None

    @property
    def longest_s(self) -> float:
        """What a reading takes at most when the server is as slow as it may be."""
        in_all_s = self.timeout_s * len(self.queries)
        return in_all_s if self.budget_s is None else min(in_all_s, self.budget_s + self.timeout_s)

    @property
    def tabled(self) -> Mapping[str, Query[Any]]:
        """The queries whose rows the payload still holds, by name: what the `threshold` rule can judge."""
        return {query.name: query for query in self.queries if query.name in self.tables}

    def fits(self, kind: TargetKind) -> bool:
        """Whether it is for targets of this kind."""
        return self.kind in (None, kind)


# --- rules ------------------------------------------------------------------------------------------------


class RuleParams(Params):
    """The keys that every rule's section starts with."""

    enabled: bool = Field(True, description="Whether the rule is judged at all.")
    for_s: DurationS = Field(0.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        0.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )


class SeverityParams(RuleParams):
    """For a rule without a magnitude."""

    severity: str = Field(
        "warning", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )

    @property
    def level(self) -> Level:
        return Level.from_word(self.severity)


class MagnitudeParams(RuleParams):
    """For a rule with one magnitude. Subclasses give `warning`, `critical`, `clear` their unit and default.

    None switches a level off. A value at or under `clear` recovers; between `clear` and `warning` it holds.
    """

    warning: Any = None
    critical: Any = None
    clear: Any = None

    @model_validator(mode="after")
    def _ordered(self) -> "MagnitudeParams":
        given = [value for value in (self.clear, self.warning, self.critical) if value is not None]
        if given != sorted(given):
            raise ValueError(f"clear <= warning <= critical must hold, and they are {self._levels()}")
        return self

    def _levels(self) -> str:
        """As people write them; some may be defaults, or come from another override."""
        written = self.model_dump()
        levels = {key: written[key] for key in ("clear", "warning", "critical")}
        return ", ".join(f"{key} {value}" for key, value in levels.items() if value is not None)


class DurationParams(MagnitudeParams):
    warning: DurationS | None = None
    critical: DurationS | None = None
    clear: DurationS | None = None


class PercentParams(MagnitudeParams):
    warning: Percent | None = None
    critical: Percent | None = None
    clear: Percent | None = None


class SizeParams(MagnitudeParams):
    warning: SizeBytes | None = None
    critical: SizeBytes | None = None
    clear: SizeBytes | None = None


class NumberParams(MagnitudeParams):
    warning: float | None = None
    critical: float | None = None
    clear: float | None = None


class TextLookup(Protocol):
    """Statement texts, normalised and redacted; None while a text is not known (it is asked for)."""

    def __call__(self, database_oid: int, user_oid: int, queryid: int) -> str | None: ...


class NameLookup(Protocol):
    """Names of relations in any database; None while a name is not known (it is asked for)."""

    def __call__(self, database_oid: int, relation_oid: int) -> str | None: ...


class Peer(Protocol):
    """Another target of pgvigil that is the same cluster: it shares the system identifier."""

    @property
    def name(self) -> str: ...

    @property
    def up(self) -> bool:
        """Whether its last query was answered."""

    @property
    def facts(self) -> Facts | None: ...

    def latest(self, feed: str, database: str | None = None) -> Snapshot[Any] | Delta[Any] | None:
        """The last reading of one of its collectors; None where there is none. It may be old: see `taken_at`."""


class History(Protocol):
    """The points of a series of the feed that is judged, in its database: the oldest first, the present one last.

    All recent ones; of older ones fewer the older they are. Nothing from before the last change of the epoch.
    """

    def __call__(self, series: str, key: str = "") -> Sequence[Point]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a rule may know besides the reading itself. `previous` is the same feed's reading before.

    `changes` are those of the feed's journal that are remembered, the oldest first. `disk_size_bytes` is what the
    configuration says of the volume that holds the server's data.
    """

    target: str
    now: datetime
    previous: Any = None
    facts: Facts | None = None
    text: TextLookup = lambda _d, _u, _q: None
    relation: NameLookup = lambda _d, _r: None
    database_names: Mapping[int, str] = field(default_factory=dict)  # oid -> name
    history: History = lambda _series, _key="": ()
    changes: Sequence[Change] = ()
    peers: Sequence[Peer] = ()
    disk_size_bytes: float | None = None
    kind: TargetKind = TargetKind.POSTGRES  # of the target, known also when it never answered

    def kept(self, function: str) -> bool:
        """Whether a managed service lets nobody call that function, such as `pg_ls_waldir()`."""
        return self.facts is not None and function in self.facts.kept_functions


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDoc:
    """What `pgvigil rules explain` and the reference page say. Plain sentences; Markdown is not rendered.

    `why_these_defaults` gives the reason of each default and where the number comes from. `how_to_look` is the SQL
    (or command) that shows a person the same thing now.
    """

    meaning: str
    magnitude: str  # name and unit of the magnitude, or "" where the rule has a severity
    why_these_defaults: str
    evidence: str
    what_to_do: str
    how_to_look: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[P]):
    """Judges one or more feeds: Snapshots by the collector's name, or a Delta for `statements`.

    `evaluate` gets one reading at a time; `reading.collector` names its feed, and the scope of the answer
    says what that feed alone can tell (NOTHING where it cannot tell recovery).
    `absorbs` names the rules whose findings become evidence of this rule's open incident when they are
    about an entity that it explains. The relation has no cycles (a house test). Incidents of rules with the same
    `together` are told as one when enough of them begin at about the same time. `dormant` says of the rows of a reading
    why nothing can make the rule fire while the server is like that ("the server is no standby"); None where something can.
    """

    name: str
    watches: tuple[str, ...]
    params: type[P]
    evaluate: Callable[[Snapshot[Any] | Delta[Any], P, Context], Judgement]
    doc: RuleDoc
    dormant: Callable[[Any, Context], str | None] = lambda _rows, _context: None
    absorbs: frozenset[str] = frozenset()
    linger: bool = False  # what it explains stays explained for readings that reach back before its end
    together: Together | None = None
    suppresses_target: bool = False  # while it fires, nothing else of the target can be known (target_down)
    unit: str = ""  # of a finding's value, where the parameters do not say it: "deadlocks"; "s" is a duration
    falling: bool = False  # the value gets less as things get worse, so its highest says nothing


# --- sinks ------------------------------------------------------------------------------------------------


class Sink(Protocol):
    """One destination. Stateless between calls but for its HTTP client; the outbox keeps the state.

    `perform`, `tell` and the finders raise DeliveryError; the finders raise CannotLookError when there is no
    way to see. `digest_lines` is how many incidents fit into one digest.
    """

    can_edit: bool
    can_reply: bool
    digest_lines: int

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,
    ) -> Mapping[str, str]:
        """Do it once, no retries; returns the handle to keep as `Delivery.remote`."""

    def find(self, act: Act, incident: Incident, delivery: Delivery) -> Mapping[str, str] | None:
        """The handle of what `act` created earlier, or None when it is not there."""

    def recall(self, act: Act, incident: Incident, delivery: Delivery) -> Recalled | None:
        """What was told in the time that `act` (see `Act.lost`) stands for; None when nothing is there."""

    def tell(self, digest: Digest, *, possible_duplicate_of: datetime | None = None) -> Mapping[str, str]:
        """Say many things in one message, no retries; returns the handle to keep as `Delivery.thread`."""

    def retell(self, digest: Digest, remote: Mapping[str, str]) -> None:
        """Bring the message that `tell` made to `digest`. Asked only of those that can edit and reply."""

    def find_digest(self, digest: Digest, told_at: datetime) -> Mapping[str, str] | None:
        """The handle of the message that told `digest` (its key decides) at `told_at`, or None when there is none."""

    def check(self) -> tuple[Problem, ...]:
        """What is wrong with the set-up (token, channel, scopes); empty when all is well. Sends nothing.

        Raises DeliveryError when the destination cannot be asked: that is no matter of set-up.
        """

    @property
    def fallbacks(self) -> Mapping[str, int]:
        """How often a message was refused and sent in a simpler form, by the form that was refused."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkKind:
    """`build(name, params, public_url)` makes the sink; `params` is its section of the configuration.

    One that is `timed` writes the time into what it sends, and is built with a clock as a fourth argument.
    `between_calls_s` is the pace that the destination bears; 0 where it is on this machine. One with `refresh_s` forgets
    what it is not told again: what goes on is performed anew (an EDIT where it can) at start and that often.
    `receive(name, params, now)` makes what hears from people there; None where the section asks for none.
    """

    name: str
    summary: str
    params: type[Params]
    build: Callable[..., Sink]
    timed: bool = False
    between_calls_s: float = 1.0
    refresh_s: float | None = None
    receive: Callable[..., Receiver | None] | None = None

    def made(self, name: str, params: Params, public_url: str, now: Callable[[], Moment]) -> Sink:
        """The sink of that section, with what its kind asks for; raises SetupError."""
        return self.build(name, params, public_url, *((now,) if self.timed else ()))
