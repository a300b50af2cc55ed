"""Whether a target answers, and how fresh what we know of it is."""

from dataclasses import dataclass
from datetime import datetime

from pgvigil.model.failure import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """The feed `availability`: produced on every attempt, also on the failed ones.

    `up` is True only after a real query was answered. `attempts` counts failures in a row. `monitor` is whether
    our role has pg_monitor now; `server_at` is the time by the server's clock when it answered.
    """

    up: bool
    failure: Failure | None = None
    down_since: datetime | None = None
    attempts: int = 0
    started_at: datetime | None = None
    in_recovery: bool | None = None
    monitor: bool | None = None
    server_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """One row of the feed `freshness`: how far behind one collector is (in one database, where it has one)."""

    collector: str
    database: str | None
    interval_s: float
    last_success_at: datetime | None
    missed: float  # intervals since the last success, or since the target was first due
    failure: Failure | None = None
