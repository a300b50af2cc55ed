"""How many bytes rows need when they lie as close as their storage allows, by PostgreSQL's page layout.

From src/include/storage/bufpage.h, access/htup_details.h and access/itup.h. Where something is not known the larger
need is assumed, so that what is called bloat is at least as much.
"""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

_PAGE_HEADER = 24
_LINE_POINTER = 4
_MAX_ALIGNMENT = 8
_HEAP_ROW_HEADER = 23
_INDEX_ROW_HEADER = 8
_INDEX_ROW_HEADER_WITH_NULLS = 16
_BTREE_PAGE_END = 16
_SHORT_VALUE = 127  # bytes: a shorter value of variable length is not aligned
_INNER_PAGES = 1.01  # a leaf of 250 rows and more has its share in the pages above it


class Attribute(NamedTuple):
    """One column as it is stored. `width` is the mean width of what is not null, header included."""

    width: float
    alignment: int
    fixed: bool
    null_fraction: float = 0.0


def table_bytes(
    attributes: Sequence[Attribute], rows: float, *, block_size: int, fill_percent: float = 100.0
) -> float:
    """What a table of so many rows needs."""
    header = _aligned(_HEAP_ROW_HEADER + ceil(len(attributes) / 8), _MAX_ALIGNMENT)
    row = _aligned(header + _data_bytes(attributes), _MAX_ALIGNMENT) + _LINE_POINTER
    usable = (block_size - _PAGE_HEADER) * fill_percent / 100.0
    return ceil(rows / max(usable // row, 1)) * block_size


def btree_bytes(
    attributes: Sequence[Attribute], rows: float, *, block_size: int, fill_percent: float = 90.0
) -> float:
    """What a B-tree of so many entries needs, none of them merged: equal keys of one that is not unique need less."""
    nulls = any(each.null_fraction > 0 for each in attributes)
    header = _INDEX_ROW_HEADER_WITH_NULLS if nulls else _INDEX_ROW_HEADER
    row = _aligned(header + _data_bytes(attributes), _MAX_ALIGNMENT) + _LINE_POINTER
    usable = (block_size - _PAGE_HEADER - _BTREE_PAGE_END) * fill_percent / 100.0
    leaves = ceil(rows / max(usable // row, 1))
    return (ceil(leaves * _INNER_PAGES) + 1) * block_size


def _data_bytes(attributes: Sequence[Attribute]) -> float:
    offset = 0.0
    for each in attributes:
        aligned = each.fixed or each.width >= _SHORT_VALUE
        padding = _aligned(offset, each.alignment) - offset if aligned else 0.0
        offset += (padding + each.width) * (1.0 - each.null_fraction)
    return offset


def _aligned(size: float, alignment: int) -> float:
    return ceil(size / alignment) * float(alignment)
