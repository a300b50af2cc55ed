"""The nouns of pg_stat_statements: what a reading holds, and what changed between two."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pgvigil.postgres.frames import Frame


class StatementKey(NamedTuple):
    """One entry. `toplevel` is False for a statement that another one runs (track = all)."""

    dbid: int
    userid: int
    queryid: int
    toplevel: bool

    @property
    def subject(self) -> str:
        """How findings name it."""
        return f"statement {self.dbid}/{self.userid}/{self.queryid}{'' if self.toplevel else ' nested'}"


class Statement(NamedTuple):
    """The columns of a reading. Counters run from `stats_since`, which servers before 17 do not tell."""

    dbid: int
    userid: int
    queryid: int  # 0 where our role may not see it
    toplevel: bool
    calls: int
    exec_ms: float
    rows: int
    shared_hit: int
    shared_read: int
    temp_blocks: int
    io_ms: float
    wal_bytes: int
    stats_since: datetime


KEY = StatementKey._fields
COUNTERS = tuple(name for name in Statement._fields if name not in (*KEY, "stats_since"))


class StatementsInfo(NamedTuple):
    """About the statistics themselves. `dealloc` and `stats_reset` are None before PostgreSQL 14."""

    dealloc: int | None
    stats_reset: datetime | None
    started_at: datetime
    in_recovery: bool
    read_at: datetime  # by the server's clock


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementsReading:
    """One complete reading. `opened` and `closed` were read before and after the entries, so that a reset
    or an eviction in the middle is noticed. `dated` says whether `stats_since` is known.
    """

    entries: Frame  # columns of `Statement`
    opened: StatementsInfo
    closed: StatementsInfo
    dated: bool
    system_identifier: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementChanges:
    """What ran in an interval. In `ran` the counters are differences, all of them >= 0.

    `uncovered` holds the keys of entries of which this interval cannot be told. Every other entry that is not
    in `ran` did not run, if `hidden` is 0: it counts the entries that our role may not see. `present` are all
    that it may see now.
    """

    ran: Frame
    uncovered: Frame
    present: Frame
    hidden: int

    @property
    def exec_ms(self) -> float:
        """Execution time of all that ran; what ran inside another statement is in that one's time."""
        return float(self.ran["exec_ms"][self.ran["toplevel"]].sum())


def keys(entries: Frame) -> Iterator[StatementKey]:
    """The keys of some entries, as Python values."""
    return map(StatementKey._make, zip(*(entries[name].tolist() for name in KEY), strict=True))
