"""The statements of a target whose series are kept: the heaviest by time, blocks or calls, and the same ones for long.

A history with holes tells nothing, so who is tracked stays: a place is taken from a statement that was far down
in the ranking for many readings, or, by one that is high up, from the lightest of all. The rank is by the largest of
three shares (of the server's time, of its blocks, of its calls), of which half is forgotten in an hour.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from pgvigil.model.snapshot import Delta
from pgvigil.postgres.frames import Frame
from pgvigil.statements import KEY, StatementChanges, StatementKey, keys
from queries.matching import Index
from queries.topk import largest

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MEASURES = ("calls", "exec_ms", "rows", "shared_blocks", "temp_blocks", "io_ms", "wal_bytes")
SIZE = 200

_HALF_LIFE_S = 3600.0
_RANKED = 2  # times the size: so many are ranked, those that are tracked among them
_FAR = 1.5  # times the size: who ranks below it ranks badly
_HIGH = 0.5  # times the size: who ranks above it need not wait for a place
_PATIENCE = 240  # readings of a bad rank in turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """What the tracked statements did between two readings; row by row as in `statements`.

    `values` has a float column for each of MEASURES: NaN where this interval cannot be told, 0 only where the
    statement surely did not run. `remainder` is the sum of all other statements that can be told, None when the
    interval as a whole cannot; `untold` of the others could not be told and are not in it.
    """

    target: str
    since: datetime
    until: datetime
    elapsed_s: float
    unknown: str | None
    statements: Frame
    values: Frame
    remainder: dict[str, float] | None
    untold: int

    @property
    def keys(self) -> tuple[StatementKey, ...]:
        """Who is tracked, as Python values."""
        return tuple(keys(self.statements))


class Tracked:
    """Of one target; `take` every delta in turn. Costs 2 ms at most for 10,000 statements that all ran."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._ranked = _NOBODY

    def take(self, delta: Delta[StatementChanges]) -> Intervals:
        """Rank anew, then tell what the tracked ones did: one that gets its place now is told already."""
        if delta.unknown is not None:
            return self._told(delta, None, {})
        ran = delta.rows.ran
        sums = {name: _measured(ran, name) for name in MEASURES}
        index = Index(tuple(ran[name] for name in KEY))
        places = self._rank(ran, index, sums, delta.elapsed_s)
        return self._told(delta, places, sums)

    def _rank(self, ran: Frame, index: Index, sums: dict[str, Floats], elapsed_s: float) -> Ints:
        """Where each row of `ran` stands among the ranked afterwards; negative where it does not."""
        before = self._ranked
        places = index.among(before.index)
        shares = _shares(sums) * elapsed_s
        scores = before.scores * 0.5 ** (elapsed_s / _HALF_LIFE_S)
        scores[places[places >= 0]] += shares[places >= 0]
        others = np.flatnonzero(places < 0)
        new = others[largest(shares[others], self._size)]
        pool = _Ranked(
            tuple(np.concatenate((old, ran[name][new])) for old, name in zip(before.keys, KEY, strict=True)),
            np.concatenate((scores, shares[new])),
            np.concatenate((before.bad, np.zeros(len(new), np.int64))),
            np.concatenate((before.tracked, np.zeros(len(new), np.bool_))),
        )
        places[new] = len(scores) + np.arange(len(new))
        pool.elect(self._size)
        self._ranked, moved = pool.shortened(_RANKED * self._size)
        return np.where(places >= 0, moved[places], places)

    def _told(
        self, delta: Delta[StatementChanges], places: Ints | None, sums: dict[str, Floats]
    ) -> Intervals:
        ranked = self._ranked
        tracked = np.flatnonzero(ranked.tracked)
        values = {name: np.full(len(ranked.scores), np.nan) for name in MEASURES}
        remainder = None
        untold = len(delta.rows.uncovered)
        if places is not None:
            own = (places >= 0) & ranked.tracked[places] if len(tracked) else np.zeros(len(places), np.bool_)
            uncovered = _places(delta.rows.uncovered, ranked.index)
            idle = self._idle(delta.rows, places, tracked)
            for name, column in values.items():
                column[idle] = 0.0
                column[places[own]] = sums[name][own]
                column[uncovered] = np.nan
            remainder = {name: float(sums[name][~own].sum()) for name in MEASURES}
            untold -= int(np.count_nonzero(ranked.tracked[uncovered]))
        return Intervals(
            target=delta.target,
            since=delta.since,
            until=delta.until,
            elapsed_s=delta.elapsed_s,
            unknown=delta.unknown,
            statements=Frame({name: key[tracked] for name, key in zip(KEY, ranked.keys, strict=True)}),
            values=Frame({name: column[tracked] for name, column in values.items()}),
            remainder=remainder,
            untold=untold,
        )

    def _idle(self, rows: StatementChanges, places: Ints, tracked: Ints) -> Ints:
        """Who surely did not run. One that has no entry may have come and gone between the readings."""
        ran = np.zeros(len(self._ranked.scores), np.bool_)
        ran[places[places >= 0]] = True
        if ran[tracked].all():
            return tracked[:0]
        return _places(rows.present, self._ranked.index)


@dataclass(slots=True)
class _Ranked:
    """Those that are ranked, in no order; the tracked ones keep theirs among each other."""

    keys: tuple[NDArray[np.generic], ...]
    scores: Floats
    bad: Ints  # readings in turn
    tracked: Flags

    @property
    def index(self) -> Index:
        return Index(self.keys)

    def elect(self, size: int) -> None:
        """Give the places to those that are due, from the heaviest on."""
        ranks = np.empty(len(self.scores), np.int64)
        order = np.argsort(-self.scores)
        ranks[order] = np.arange(len(order))
        self.bad = np.where(ranks >= _FAR * size, self.bad + 1, 0)
        waiting = order[: max(1, size)][~self.tracked[order[: max(1, size)]]]
        free = size - int(np.count_nonzero(self.tracked))
        if not len(waiting) and free <= 0:
            return
        lightest = order[self.tracked[order]][::-1].tolist()
        for each in waiting.tolist():
            if free > 0:
                free -= 1
            elif lightest and (self.bad[lightest[0]] >= _PATIENCE or ranks[each] < _HIGH * size):
                self.tracked[lightest.pop(0)] = False
            else:
                return
            self.tracked[each] = True

    def shortened(self, most: int) -> tuple["_Ranked", Ints]:
        """The `most` heaviest of these and all that are tracked; and where each one has gone."""
        kept = self.tracked.copy()
        kept[largest(self.scores, most)] = True
        moved = np.where(kept, np.cumsum(kept) - 1, -1)
        part = _Ranked(
            tuple(each[kept] for each in self.keys), self.scores[kept], self.bad[kept], self.tracked[kept]
        )
        return part, moved


_NOBODY = _Ranked(
    tuple(np.zeros(0, np.bool_ if name == "toplevel" else np.int64) for name in KEY),
    np.zeros(0),
    np.zeros(0, np.int64),
    np.zeros(0, np.bool_),
)


def _measured(ran: Frame, name: str) -> Floats:
    if name == "shared_blocks":
        return np.asarray(ran["shared_hit"] + ran["shared_read"], np.float64)
    return np.asarray(ran[name], np.float64)


def _shares(sums: dict[str, Floats]) -> Floats:
    """The largest of each statement's shares of the interval; a nested one is measured like any other."""
    most = np.zeros(len(sums["calls"]))
    for name in ("exec_ms", "shared_blocks", "calls"):
        total = sums[name].sum()
        if total > 0:
            np.maximum(most, sums[name] / total, out=most)
    return most


def _places(entries: Frame, ranked: Index) -> Ints:
    """Where the entries stand among the ranked, of those that do."""
    places = Index(tuple(entries[name] for name in KEY)).among(ranked)
    return places[places >= 0]
