"""What a real server answered to pgvigil, to be answered again by others: with clocks and counters that advance."""

import re
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from collectors.statements import ENTRIES
from tests.support.fakes import wire

_TIMESTAMPTZ = 1184
_EPOCH_S = 946_684_800  # 2000-01-01, from which the server counts microseconds
_NOW_S = 1.0  # a time this close to the moment of the answer was the server's clock
_ARRAY_HEADER_BYTES = 20
_MARK = re.compile(rb"/\* pgvigil:(\w+) \*/")

CALLS = 7  # of one statement, in an interval in which it runs
SHARE = 10  # every tenth statement runs in an interval, each time others
_GROWTH = {"calls": CALLS, "exec_ms": 0.8 * CALLS, "rows": CALLS, "shared_hit": 30 * CALLS}  # in each run


def mark(said: bytes) -> str:
    """The name by which pgvigil's statements can be known; "" for any other."""
    found = _MARK.search(said)
    return found[1].decode() if found else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`clocks` are the places of times that were the server's clock, with how far they were off."""

    stream: bytes
    clocks: tuple[tuple[int, int], ...]

    @classmethod
    def recorded(cls, stream: bytes, at_s: float) -> "Answer":
        stamps = [place for place, oid in enumerate(wire.types(stream)) if oid == _TIMESTAMPTZ]
        found = []
        for row in wire.rows(stream) if stamps else ():
            for place in stamps:
                value = row[place]
                if value is not None:
                    off_us = int.from_bytes(stream[value.start : value.start + 8], signed=True) - _us(at_s)
                    if abs(off_us) < _NOW_S * 1e6:
                        found.append((value.start, off_us))
        return cls(stream, tuple(found))

    def now(self, at_s: float) -> bytes:
        """The same, with the server's clock as it is now."""
        if not self.clocks:
            return self.stream
        stream = bytearray(self.stream)
        for start, off_us in self.clocks:
            stream[start : start + 8] = (_us(at_s) + off_us).to_bytes(8, signed=True)
        return bytes(stream)


def _us(at_s: float) -> int:
    return round((at_s - _EPOCH_S) * 1e6)


class Statements:
    """The statements of one fake server. At each reading a tenth has run, and one has been replaced by a new one.

    The new one makes all that compares two readings go the long way: the entries are not the same as before.
    """

    def __init__(self) -> None:
        self._readings = 0
        self._births_us: list[int] = []

    def next(self, recorded: bytes, at_s: float) -> bytes:
        """The recorded answer as it would be now."""
        stream = bytearray(recorded)
        self._readings += 1
        self._births_us.append(_us(at_s))
        first = 0
        for row in wire.rows(recorded):
            columns = {
                column.name: _column(stream, value)
                for column, value in zip(ENTRIES.columns, row, strict=True)
                if value is not None and value.length > _ARRAY_HEADER_BYTES
            }
            self._advance(columns, first)
            first += len(columns["queryid"])
        return bytes(stream)

    def _advance(self, columns: dict[str, np.ndarray], first: int) -> None:
        number = first + np.arange(len(columns["queryid"]))
        new = number < self._readings
        columns["queryid"][new] += 1
        columns["stats_since"][new] = self._births_us[first : first + int(new.sum())]
        since = np.where(new, number + 1, 0)
        ran = new + (self._readings + number) // SHARE - (since + number) // SHARE
        for name, growth in _GROWTH.items():
            columns[name][new] = 0
            columns[name] += (ran * growth).astype(columns[name].dtype.newbyteorder("="))


def _column(stream: bytearray, value: wire.Field) -> np.ndarray:
    """A view of an array's elements, to be changed in place."""
    sent = {16: "?", 20: ">i8", 26: ">u4", 701: ">f8", 1184: ">i8"}
    element_oid = int.from_bytes(stream[value.start + 8 : value.start + 12])
    element = np.dtype([("length", ">i4"), ("value", sent[element_oid])])
    count = (value.length - _ARRAY_HEADER_BYTES) // element.itemsize
    return np.frombuffer(stream, element, count, value.start + _ARRAY_HEADER_BYTES)["value"]


@dataclass(slots=True)
class Tape:
    """Requests with their answers, by database; those with other parameters than recorded get a recorded answer."""

    welcome: dict[str, bytes] = field(default_factory=dict)
    answers: dict[tuple[str, bytes], Answer] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)

    def record(self, database: str, said: bytes, stream: bytes) -> None:
        answer = Answer.recorded(stream, time.time())
        self.answers[database, said] = answer
        self.answers[database, wire.statement(said)] = answer

    def find(self, database: str, said: bytes) -> Answer | None:
        exact = self.answers.get((database, said))
        if exact is not None:
            return exact
        text = wire.statement(said)
        found = self.answers.get((database, text))
        if found is None:
            self.unknown[text.decode(errors="replace")[:200]] += 1
        return found
