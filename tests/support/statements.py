"""A pg_stat_statements in memory: what the delta engine reads, beside what really happened."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from pgvigil.model.snapshot import Snapshot
from pgvigil.postgres.frames import Frame
from pgvigil.statements import COUNTERS, Statement, StatementKey, StatementsInfo, StatementsReading

START = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
FLOATS = {"exec_ms", "io_ms"}


def frame(entries: list[Statement]) -> Frame:
    """The columns of some entries, typed as a session gives them."""
    types: dict[str, Any] = dict.fromkeys(Statement._fields, np.int64)
    types |= dict.fromkeys(FLOATS, np.float64) | {"toplevel": np.bool_, "stats_since": "datetime64[us]"}
    columns: dict[str, list[Any]] = {
        name: [getattr(entry, name) for entry in entries] for name in Statement._fields
    }
    columns["stats_since"] = [stamp.replace(tzinfo=None) for stamp in columns["stats_since"]]
    return Frame({name: np.array(values, types[name]) for name, values in columns.items()})


def key(queryid: int, dbid: int = 5, userid: int = 10, *, toplevel: bool = True) -> StatementKey:
    return StatementKey(dbid, userid, queryid, toplevel)


def snapshot(reading: StatementsReading, at_s: float) -> Snapshot[StatementsReading]:
    """A reading taken at `at_s` on the monotonic clock."""
    return Snapshot(
        target="orders-prod",
        collector="statements",
        database=None,
        taken_at=START + timedelta(seconds=at_s),
        mono_s=at_s,
        duration_s=0.01,
        interval_s=60.0,
        rows=reading,
    )


@dataclass
class FakeStatements:
    """`version` decides what the server can tell: 13, 14 (dealloc, stats_reset) or 17 (stats_since)."""

    version: int = 17
    entries: dict[StatementKey, Statement] = field(default_factory=dict)
    ran: Counter[StatementKey] = field(default_factory=Counter)  # since the last reading, in truth
    disturbed: bool = False  # counters were discarded since the last reading
    dealloc: int = 0
    stats_reset: datetime = START
    started_at: datetime = START
    in_recovery: bool = False
    system_identifier: int | None = 7
    ticks: int = 0

    def run(self, which: StatementKey, calls: int = 1, ms: float = 1.0) -> None:
        fresh = Statement(*which, *[0] * len(COUNTERS), stats_since=self._now())
        now = self.entries.get(which, fresh)
        grown = {name: getattr(now, name) + calls for name in COUNTERS}
        self.entries[which] = now._replace(**{**grown, "exec_ms": now.exec_ms + calls * ms})
        self.ran[which] += calls

    def evict(self, which: StatementKey) -> None:
        self.entries.pop(which, None)
        self.dealloc += 1
        self.disturbed = True

    def reset_one(self, which: StatementKey) -> None:
        self.entries.pop(which, None)
        self.disturbed = True

    def reset(self) -> None:
        self.entries.clear()
        self.dealloc = 0
        self.stats_reset = self._now()
        self.disturbed = True

    def restart(self, *, crash: bool = False) -> None:
        self.started_at = self._now()
        if crash:
            self.reset()
        self.disturbed = True

    def info(self) -> StatementsInfo:
        told = self.version >= 14
        return StatementsInfo(
            self.dealloc if told else None,
            self.stats_reset if told else None,
            self.started_at,
            self.in_recovery,
            self._now(),
        )

    def read(self, opened: StatementsInfo | None = None) -> StatementsReading:
        shown = list(self.entries.values())
        if self.version < 17:
            shown = [each._replace(stats_since=datetime(1970, 1, 1, tzinfo=UTC)) for each in shown]
        return StatementsReading(
            entries=frame(shown),
            opened=opened or self.info(),
            closed=self.info(),
            dated=self.version >= 17,
            system_identifier=self.system_identifier,
        )

    def snapshot(self, at_s: float, *, opened: StatementsInfo | None = None) -> Snapshot[StatementsReading]:
        """A reading at `at_s` on the monotonic clock; from here the truth counts anew."""
        reading = self.read(opened)
        self.ran.clear()
        self.disturbed = False
        return snapshot(reading, at_s)

    def _now(self) -> datetime:
        self.ticks += 1
        return START + timedelta(microseconds=self.ticks)
