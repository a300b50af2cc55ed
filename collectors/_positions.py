"""Positions in the write-ahead log, in SQL."""

from typing import LiteralString


def gap(ahead: LiteralString, behind: LiteralString) -> LiteralString:
    """Bytes from `behind` to `ahead`; 0 where they were read in the other order, null where one is not known.

    (`greatest` passes over nulls: of a slot that holds nothing it would say that it holds back 0 bytes.)
    """
    return f"(CASE WHEN {ahead} >= {behind} THEN {ahead} - {behind} WHEN {ahead} < {behind} THEN 0 END)::int8"
