"""What a collector read, and what changed between two readings."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

Payload = TypeVar("Payload")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Generic[Payload]):
    """One reading by one collector of one target.

    `database` is None when the reading is about the whole server. `interval_s` is the collector's interval
    in force, so that a rule can reason about how old "the previous one" may be.
    """

    target: str
    collector: str
    database: str | None
    taken_at: datetime
    mono_s: float
    duration_s: float
    interval_s: float
    rows: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta(Generic[Payload]):
    """What happened between `since` and `until`: resets, evictions and restarts already handled.

    `unknown` names why the interval as a whole cannot be told (first reading, reset, gap); then `rows` is
    whatever can still be said truthfully, possibly nothing, and rules must not conclude recovery from it.
    """

    target: str
    collector: str
    since: datetime
    until: datetime
    elapsed_s: float
    unknown: str | None
    rows: Payload
