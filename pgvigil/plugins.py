"""The shapes of plug-ins. A plug-in is a value in a file of its own name; see `registry`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pgvigil.model.delivery import Act, Delivery, Recalled
from pgvigil.model.digest import Digest
from pgvigil.model.facts import Facts
from pgvigil.model.finding import Judgement
from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.postgres.query import Query
from pgvigil.problems import Problem
from pgvigil.units import DurationS, Percent

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector(Generic[Payload]):
    """Reads one view of one server, or of one database on the databases lane.

    A target without the `extension` named here has the collector switched off, once, with a Problem.
    `tables` takes the rows of a query, by the query's name, back out of what the collector's feed carries:
    the payload, or for `statements` the changes.
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

    @property
    def tabled(self) -> Mapping[str, Query[Any]]:
        """The queries whose rows the payload still holds, by name: what the `threshold` rule can judge."""
        return {query.name: query for query in self.queries if query.name in self.tables}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a rule may know besides the reading itself. `previous` is the same feed's reading before."""

    target: str
    now: datetime
    previous: Any = None
    facts: Facts | None = None
    text: TextLookup = lambda _d, _u, _q: None
    relation: NameLookup = lambda _d, _r: None
    database_names: Mapping[int, str] = field(default_factory=dict)  # oid -> name


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDoc:
    """What `pgvigil rules explain` and the reference page say. Plain sentences; Markdown is not rendered."""

    meaning: str
    magnitude: str  # name and unit of the magnitude, or "" where the rule has a severity
    why_these_defaults: str
    evidence: str
    what_to_do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[P]):
    """Judges one or more feeds: Snapshots by the collector's name, or a Delta for `statements`.

    `evaluate` gets one reading at a time; `reading.collector` names its feed, and the scope of the answer
    says what that feed alone can tell (NOTHING where it cannot tell recovery).
    `absorbs` names the rules whose findings become evidence of this rule's open incident when they are
    about an entity that it explains. The relation has no cycles (a house test).
    """

    name: str
    watches: tuple[str, ...]
    params: type[P]
    evaluate: Callable[[Snapshot[Any] | Delta[Any], P, Context], Judgement]
    doc: RuleDoc
    absorbs: frozenset[str] = frozenset()
    linger: bool = False  # what it explains stays explained for readings that reach back before its end
    suppresses_target: bool = False  # while it fires, nothing else of the target can be known (target_down)


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

    `between_calls_s` is the pace that the destination bears; 0 where it is on this machine.
    """

    name: str
    summary: str
    params: type[Params]
    build: Callable[[str, Any, str], Sink]
    between_calls_s: float = 1.0
