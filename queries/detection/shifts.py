"""The nouns of detection: a shift, what it was judged by, and what can be said of a statement at all."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pgvigil.statements import StatementKey


class Series(StrEnum):
    """What of a statement is watched. BLOCKS and TIME make findings; the others are evidence for them."""

    BLOCKS = "blocks per call"
    TIME = "mean time"
    CALLS = "calls"
    ROWS = "rows per call"
    TEMP = "temporary blocks"


class Phase(StrEnum):
    """OPEN is told when a shift opens, and again when it gets surer. RECOVERED: it came back. PASSED: a suspect that
    ended before it lasted long enough, for the history. GONE: nothing can be told of it any more, because the statement
    is no longer tracked, or has not run enough for a day.
    """

    OPEN = "open"
    RECOVERED = "recovered"
    PASSED = "passed"
    GONE = "gone"


class FoundBy(StrEnum):
    """What found it: so many buckets of the last ones, their mean, the sum of small excesses, or minute after minute."""

    BUCKETS = "buckets"
    MEAN = "mean of buckets"
    CUSUM = "cusum"
    FAST = "fast"


class Verdict(StrEnum):
    """JUDGED: shifts of it are found. LEARNING: its baseline is too young. TOO_RARE: below 2 calls a minute there are
    no statistics; a budget speaks.
    """

    JUDGED = "judged"
    LEARNING = "learning"
    TOO_RARE = "too rare"


@dataclass(frozen=True, slots=True)
class Basis:
    """What a shift was judged by: cells of the last seven days that hold a value.

    `days` from the oldest cell to now, `coverage` the share of them that is filled, `scale` the usual stray of a
    bucket as a standard deviation of the logarithm (of 2 * square root for calls; 0 where none is kept).
    """

    days: float
    coverage: float
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A series that left its baseline. `before` and `now` in blocks, ms or rows per call, calls or temporary blocks per
    minute; `factor` is now / before, None where that was 0. `since` is the start of its first bucket, `until` the end of its last one.

    `extra_s_per_s` is what it costs: the execution time of the statement beyond its baseline, in seconds per second,
    None where its time has no baseline yet.
    `sure` is False for what only CUSUM found: small and long, worth an info.
    """

    statement: StatementKey
    series: Series
    phase: Phase
    found_by: FoundBy
    sure: bool
    since: datetime
    until: datetime
    before: float
    now: float
    factor: float | None
    calls_per_s: float
    extra_s_per_s: float | None
    basis: Basis
