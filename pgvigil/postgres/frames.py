"""Numbers of many rows as numpy columns, without a Python object per value.

The query answers with a few rows of arrays (see `Query.frame_text`). Their binary form is a header and then
length and value of each element, so for types of fixed width the whole column is one strided view.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.pq.abc import PGresult

_HEADER_BYTES = 20  # dimensions, has-null flag, element type, length, lower bound: 4 bytes each

# Element type -> (width as sent, what the column becomes). Integers become int64 and floats float64, so that
# differences neither overflow nor wrap. timestamptz is microseconds since 2000-01-01 UTC.
_ELEMENTS: dict[int, tuple[str, Any]] = {
    16: ("?", np.bool_),
    20: (">i8", np.int64),
    21: (">i2", np.int64),
    23: (">i4", np.int64),
    26: (">u4", np.int64),  # oid
    700: (">f4", np.float64),
    701: (">f8", np.float64),
    1184: (">i8", np.int64),  # timestamptz
}
_ARRAYS = {1000: 16, 1016: 20, 1005: 21, 1007: 23, 1028: 26, 1021: 700, 1022: 701, 1185: 1184}
_TIMESTAMPTZ = 1184
_EPOCH = np.datetime64("2000-01-01T00:00:00", "us")


class FrameError(Exception):
    """A query that cannot be a frame: a NULL element, or a type without a fixed width. A defect of the query."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Columns of equal length, in the query's order; timestamps are datetime64[us] in UTC."""

    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]


def decode(result: PGresult, names: tuple[str, ...]) -> Frame:
    """From the rows of `Query.frame_text`. Raises FrameError."""
    return Frame({name: _column(name, result, place) for place, name in enumerate(names)})


def _column(name: str, result: PGresult, place: int) -> NDArray[Any]:
    array_oid = result.ftype(place)
    element_oid = _ARRAYS.get(array_oid)
    if element_oid is None:
        raise FrameError(f"column {name}: type {array_oid} is not an array of numbers, flags or timestamps")
    sent, wanted = _ELEMENTS[element_oid]
    pieces = [result.get_value(row, place) or b"" for row in range(result.ntuples)]
    if any(piece[4:8] != b"\0\0\0\0" for piece in pieces):
        raise FrameError(f"column {name}: a value is NULL; the query must replace it (coalesce)")
    element = np.dtype([("length", ">i4"), ("value", sent)])
    data = b"".join(piece[_HEADER_BYTES:] for piece in pieces)
    values = np.frombuffer(data, element)["value"].astype(wanted)
    return _EPOCH + values.astype("timedelta64[us]") if element_oid == _TIMESTAMPTZ else values
