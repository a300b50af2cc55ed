"""Intervals of a target's tracked statements, gathered until they are a chunk."""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pgvigil.statements import KEY, StatementKey
from queries.history.chunk import Chunk, micros_of
from queries.matching import Index
from queries.tracked import MEASURES, Intervals

Text = Callable[[int, int, int], str | None]


class Filling:
    """`since_s` is when it was begun, by the monotonic clock; `text` gives what is known of a statement's text, by
    database, role and queryid.
    """

    def __init__(self, target: str, text: Text, since_s: float) -> None:
        self.target = target
        self._text = text
        self.since_s = since_s
        self._keys: list[StatementKey] = []
        self._columns: NDArray[np.int64] = np.zeros(0, np.int64)
        self._index: Index | None = None
        self._databases: Mapping[int, str] = {}
        self._stamps: list[tuple[datetime, datetime]] = []
        self._rows: list[dict[str, NDArray[np.float32]]] = []  # each as long as there were statements then

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def last_at(self) -> datetime | None:
        """The end of the newest interval."""
        return self._stamps[-1][1] if self._stamps else None

    def add(self, intervals: Intervals, every_s: float, databases: Mapping[int, str]) -> None:
        """Those shorter than `every_s` are put together. One that can be told nothing of is a gap: it is left out. `databases` are names
        by oid.
        """
        self._databases = databases
        if intervals.remainder is None:
            return
        row = self._row(intervals, intervals.remainder, self._columns_of(intervals))
        joins = self._stamps and (self._stamps[-1][1] - self._stamps[-1][0]).total_seconds() + 1.0 < every_s
        if joins and self._stamps[-1][1] == intervals.since:
            self._stamps[-1] = self._stamps[-1][0], intervals.until
            self._rows[-1] = {name: _sum(self._rows[-1][name], row[name]) for name in row}
        else:
            self._stamps.append((intervals.since, intervals.until))
            self._rows.append(row)

    def _columns_of(self, intervals: Intervals) -> NDArray[np.int64]:
        """Where the values of each statement stand, from 1 on; 0 is the remainder."""
        index = Index(tuple(intervals.statements[name] for name in KEY))
        if self._index is not None and _same(index, self._index):
            return self._columns
        known = {key: place for place, key in enumerate(self._keys, 1)}
        for key in intervals.keys:
            if key not in known:
                self._keys.append(key)
                known[key] = len(self._keys)
        self._index = index
        self._columns = np.array([known[key] for key in intervals.keys], np.int64)
        return self._columns

    def _row(
        self, intervals: Intervals, remainder: dict[str, float], columns: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        told = ~np.isnan(intervals.values[MEASURES[0]])
        elapsed_s = intervals.elapsed_s
        row = {"covered_s": self._column(columns, np.where(told, elapsed_s, 0.0), elapsed_s)}
        for name in MEASURES:
            row[name] = self._column(columns, np.where(told, intervals.values[name], 0.0), remainder[name])
        return row

    def _column(
        self, columns: NDArray[np.int64], values: NDArray[np.float64], rest: float
    ) -> NDArray[np.float32]:
        column = np.zeros(len(self._keys) + 1, np.float32)
        column[columns] = values
        column[0] = rest
        return column

    def chunk(self) -> Chunk:
        """All of it, with the texts that are known by now."""
        width = len(self._keys) + 1
        order = np.r_[1:width, 0]  # the remainder last

        def stacked(name: str) -> NDArray[np.float32]:
            table = np.zeros((len(self._rows), width), np.float32)
            for place, row in enumerate(self._rows):
                table[place, : len(row[name])] = row[name]
            return table[:, order]

        return Chunk(
            since=np.array([micros_of(since) for since, _ in self._stamps], np.int64),
            until=np.array([micros_of(until) for _, until in self._stamps], np.int64),
            keys={
                name: np.array(
                    [key[place] for key in self._keys], np.bool_ if name == "toplevel" else np.int64
                )
                for place, name in enumerate(KEY)
            },
            texts=np.array(
                [text_hash(self._text(key.dbid, key.userid, key.queryid)) for key in self._keys], np.int64
            ),
            databases=np.array([self._databases.get(key.dbid, str(key.dbid)) for key in self._keys], np.str_),
            covered_s=stacked("covered_s"),
            values={name: stacked(name) for name in MEASURES},
        )


def text_hash(text: str | None) -> int:
    """By which a statement is known under another queryid, as after an upgrade; 0 for a text that nobody knows."""
    if text is None:
        return 0
    digest = blake2b(text.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True) or 1


def _same(one: Index, other: Index) -> bool:
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(one.columns, other.columns, strict=True))


def _sum(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total
