"""What the tracked statements of a target did over a while, in columns; packed for the store, and made coarse when old."""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pgvigil.statements import KEY, StatementKey
from queries.tracked import MEASURES

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

CELL_S = 1800.0  # what intervals become when they are old
_FORM = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BROKEN = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    zlib.error,
    zipfile.BadZipFile,
    struct.error,
)
_MOST_VALUES = 4_000_000  # of one measure: some hundred times what is ever written


@dataclass(frozen=True, slots=True)
class Chunk:
    """`since` and `until` of each interval, in microseconds of UTC. Each column has one row for each interval and one
    column for each statement, the last for the remainder: all others together.

    `covered_s` is how much of the interval can be told of a statement; where it is 0 its values are, and mean nothing.
    `databases` are the names that the statements' databases had. `texts` are hashes of the statements' texts, 0 where none was known: by it one is known under another queryid.
    """

    since: Ints
    until: Ints
    keys: dict[str, NDArray[np.generic]]  # by KEY, of each statement
    texts: Ints
    databases: NDArray[np.str_]
    covered_s: Floats
    values: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.since)

    @property
    def statements(self) -> list[StatementKey]:
        columns = (self.keys[name].tolist() for name in KEY)
        return [StatementKey(*row) for row in zip(*columns, strict=True)]

    @property
    def first_at(self) -> datetime:
        return stamp_of(int(self.until[0]))

    @property
    def last_at(self) -> datetime:
        return stamp_of(int(self.until[-1]))


def stamp_of(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def micros_of(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def packed(chunk: Chunk) -> bytes:
    """As the store keeps it; `unpacked` is the way back."""
    held = io.BytesIO()
    columns = {
        f"value_{name}": column.T for name, column in chunk.values.items()
    }  # a statement's values look alike
    keys = {f"key_{name}": column for name, column in chunk.keys.items()}
    np.savez_compressed(
        held,
        allow_pickle=False,
        form=np.array([_FORM]),
        since=chunk.since,
        until=chunk.until,
        texts=chunk.texts,
        databases=chunk.databases,
        covered_s=chunk.covered_s.T,
        **columns,
        **keys,
    )
    return held.getvalue()


def unpacked(data: bytes) -> Chunk:
    """Raises ValueError for what `packed` never made: damage, or another version."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            form = int(held["form"][0])
            chunk = Chunk(
                since=held["since"],
                until=held["until"],
                keys={name: held[f"key_{name}"] for name in KEY},
                texts=held["texts"],
                databases=held["databases"],
                covered_s=held["covered_s"].T,
                values={name: held[f"value_{name}"].T for name in MEASURES},
            )
    except _BROKEN as error:
        raise ValueError(f"statements in another form: {type(error).__name__}") from error
    if form != _FORM or not _is_sound(chunk):
        raise ValueError("statements in another form: the columns do not fit each other")
    return chunk


def _is_sound(chunk: Chunk) -> bool:
    shape = (len(chunk.since), len(chunk.texts) + 1)
    columns = (chunk.covered_s, *chunk.values.values())
    fits = all(column.shape == shape and column.dtype.kind == "f" for column in columns)
    fits = fits and chunk.databases.shape == chunk.texts.shape and chunk.databases.dtype.kind == "U"
    fits = fits and all(key.shape == (len(chunk.texts),) for key in chunk.keys.values())
    fits = (
        fits
        and chunk.since.shape == chunk.until.shape
        and chunk.since.dtype.kind == chunk.until.dtype.kind == "i"
    )
    return fits and len(chunk.since) > 0 and shape[0] * shape[1] <= _MOST_VALUES


def coarse(chunk: Chunk) -> Chunk:
    """The same in cells of CELL_S: sums, of what can be told. A cell that a block ends in goes on in the next block."""
    cell = ((chunk.since + chunk.until) // 2) // int(CELL_S * 1e6)
    first = np.flatnonzero(np.diff(cell, prepend=cell[0] - 1))
    if len(first) == len(cell):
        return chunk
    return replace(
        chunk,
        since=chunk.since[first],
        until=np.maximum.reduceat(chunk.until, first),
        covered_s=np.add.reduceat(chunk.covered_s, first, axis=0),
        values={name: np.add.reduceat(column, first, axis=0) for name, column in chunk.values.items()},
    )
