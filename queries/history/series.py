"""The history of statements, out of chunks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from pgvigil.statements import StatementKey
from queries.history.chunk import Chunk, micros_of, stamp_of
from queries.tracked import MEASURES


@dataclass(frozen=True, slots=True)
class Point:
    """What a statement did from `since` to `until`, in sums, as far as it can be told: `covered_s` of that time."""

    since: datetime
    until: datetime
    covered_s: float
    sums: dict[str, float]  # by MEASURES


@dataclass(frozen=True, slots=True)
class Total:
    """Sums of one statement; of all that are not tracked together where `key` is None."""

    key: StatementKey | None
    covered_s: float
    sums: dict[str, float]


def totals(chunks: Iterable[Chunk], since: datetime) -> list[Total]:
    """Of every statement since then, the heaviest by time first and the remainder last."""
    found: dict[StatementKey | None, tuple[float, NDArray[np.float64]]] = {}
    for chunk in chunks:
        rows = chunk.until > micros_of(since)
        if not rows.any():
            continue
        covered = chunk.covered_s[rows].sum(axis=0, dtype=np.float64)
        sums = np.stack([chunk.values[name][rows].sum(axis=0, dtype=np.float64) for name in MEASURES], axis=1)
        for place, key in enumerate([*chunk.statements, None]):
            if covered[place] > 0:
                before = found.get(key, (0.0, np.zeros(len(MEASURES))))
                found[key] = before[0] + float(covered[place]), before[1] + sums[place]
    made = [Total(key, covered_s, _named(sums)) for key, (covered_s, sums) in found.items()]
    return sorted(made, key=lambda one: (one.key is None, -one.sums["exec_ms"]))


def points(chunks: Iterable[Chunk], key: StatementKey, text: int = 0) -> list[Point]:
    """The series of one statement, the oldest first.

    With the hash of its `text` also what it did under another queryid (in the same database, by the same role), as after an
    upgrade: where it was not seen under its own, and one other has that text. Of several nobody knows which it was: a
    text says nothing of the schema that a name was found in.
    """
    found = [point for chunk in chunks for point in _of_chunk(chunk, key, text)]
    return sorted(found, key=lambda one: one.until)


def _of_chunk(chunk: Chunk, key: StatementKey, text: int) -> Iterable[Point]:
    statements = chunk.statements
    own = statements.index(key) if key in statements else None
    kin = _kin(chunk, key, text)
    for row in range(len(chunk)):
        seen = [place for place in (own, kin) if place is not None and chunk.covered_s[row, place] > 0]
        if seen:
            yield Point(
                since=stamp_of(int(chunk.since[row])),
                until=stamp_of(int(chunk.until[row])),
                covered_s=float(chunk.covered_s[row, seen[0]]),
                sums={name: float(chunk.values[name][row, seen[0]]) for name in MEASURES},
            )


def _kin(chunk: Chunk, key: StatementKey, text: int) -> int | None:
    """The one other that has the text."""
    if not text:
        return None
    of = (key.dbid, key.userid, key.toplevel)
    others = [
        place
        for place in np.flatnonzero(chunk.texts == text).tolist()
        if (one := chunk.statements[place]) != key and (one.dbid, one.userid, one.toplevel) == of
    ]
    return others[0] if len(others) == 1 else None


def _named(sums: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(MEASURES, sums.tolist(), strict=True))
