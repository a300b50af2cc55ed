"""Readings of `statements` written down: entry by entry as they were read, or as what ran since the reading before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from pgvigil.postgres.frames import Frame
from pgvigil.statements import COUNTERS, KEY, Statement, StatementsInfo, StatementsReading

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_TYPES: dict[str, Any] = {
    **dict.fromkeys(Statement._fields, np.int64),
    **dict.fromkeys(("exec_ms", "io_ms"), np.float64),
    "toplevel": np.bool_,
    "stats_since": "datetime64[us]",
}
_Key = tuple[Any, ...]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Written):
    """The columns of `Statement`; what a person leaves out is nothing."""

    dbid: int = Field(ge=0)
    userid: int = Field(10, ge=0)
    queryid: int = Field(ge=-(2**63), lt=2**63)
    toplevel: bool = True
    calls: int = Field(0, ge=0, lt=2**63)
    exec_ms: float = Field(0.0, ge=0)
    rows: int = Field(0, ge=0, lt=2**63)
    shared_hit: int = Field(0, ge=0, lt=2**63)
    shared_read: int = Field(0, ge=0, lt=2**63)
    temp_blocks: int = Field(0, ge=0, lt=2**63)
    io_ms: float = Field(0.0, ge=0)
    wal_bytes: int = Field(0, ge=0, lt=2**63)
    stats_since: AwareDatetime = _LONG_AGO


class _Info(_Written):
    dealloc: int | None = 0
    stats_reset: AwareDatetime | None = None
    started_at: AwareDatetime = _LONG_AGO
    in_recovery: bool = False
    read_at: AwareDatetime = _LONG_AGO


class WrittenStatements(_Written):
    """`entries` is a reading as it was; `ran` is what ran since the one before, so that a person need not add up."""

    entries: tuple[_Entry, ...] | None = None
    ran: tuple[_Entry, ...] | None = None
    opened: _Info = _Info()
    closed: _Info | None = None
    dated: bool = False
    system_identifier: int | None = 1

    @model_validator(mode="after")
    def _one_of_both(self) -> "WrittenStatements":
        if (self.entries is None) == (self.ran is None):
            raise ValueError("give exactly one of entries and ran")
        if self.ran is not None and self.model_fields_set != {"ran"}:
            raise ValueError("what is known of the server is that of the reading before: give ran alone")
        return self


@dataclass(frozen=True, slots=True)
class Ran:
    """What ran since the reading before; `reading` is what it would be if it were the first."""

    reading: StatementsReading

    def after(self, before: StatementsReading | None) -> StatementsReading:
        """The reading that it makes on top of that one."""
        if before is None:
            return self.reading
        rows = {_key(one): one for one in _rows(before.entries)}
        for one in _rows(self.reading.entries):
            there = rows.get(_key(one))
            rows[_key(one)] = one if there is None else _sum(there, one)
        return replace(before, entries=_frame(rows.values()))


FORM: TypeAdapter[WrittenStatements] = TypeAdapter(WrittenStatements)


def written(payload: StatementsReading | Ran) -> WrittenStatements:
    """To write it down."""
    if isinstance(payload, Ran):
        return WrittenStatements(ran=_entries(payload.reading))
    return WrittenStatements(
        entries=_entries(payload),
        opened=_Info(**payload.opened._asdict()),
        closed=_Info(**payload.closed._asdict()),
        dated=payload.dated,
        system_identifier=payload.system_identifier,
    )


def read(given: WrittenStatements) -> StatementsReading | Ran:
    """What was written down."""
    entries = given.entries if given.ran is None else given.ran
    reading = StatementsReading(
        entries=_frame(Statement(**one.model_dump()) for one in entries or ()),
        opened=StatementsInfo(**given.opened.model_dump()),
        closed=StatementsInfo(**(given.closed or given.opened).model_dump()),
        dated=given.dated,
        system_identifier=given.system_identifier,
    )
    return reading if given.ran is None else Ran(reading)


def _entries(reading: StatementsReading) -> tuple[_Entry, ...]:
    return tuple(_Entry(**one._asdict()) for one in _rows(reading.entries))


def _rows(entries: Frame) -> Sequence[Statement]:
    columns = [entries[name].tolist() for name in Statement._fields]
    rows = map(Statement._make, zip(*columns, strict=True))
    return [one._replace(stats_since=one.stats_since.replace(tzinfo=UTC)) for one in rows]


def _frame(rows: Iterable[Statement]) -> Frame:
    """Typed as a session gives them."""
    known = [one._replace(stats_since=one.stats_since.astimezone(UTC).replace(tzinfo=None)) for one in rows]
    return Frame(
        {name: np.array([getattr(one, name) for one in known], _TYPES[name]) for name in Statement._fields}
    )


def _key(one: Statement) -> _Key:
    return tuple(getattr(one, name) for name in KEY)


def _sum(one: Statement, more: Statement) -> Statement:
    return one._replace(**{name: getattr(one, name) + getattr(more, name) for name in COUNTERS})
