"""Finds the entries of one reading in another, by key."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

ABSENT = -1
AMBIGUOUS = -2  # two keys with one hash: 1 in 10^11 readings of 10,000 entries

# Odd 64-bit constants (the golden ratio's and two of xxHash), so that keys differ in the high bits too.
_MIX = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)


class Index:
    """The keys of one reading: equally long columns. The hash and its order are made when first needed,
    and serve twice: for this reading, and when it is the previous one.
    """

    def __init__(self, keys: tuple[NDArray[np.generic], ...]) -> None:
        self.columns = keys

    def positions_in(self, other: "Index") -> Ints:
        """Where each key stands in `other`; ABSENT or AMBIGUOUS (both negative) where there is no telling."""
        if self._same_as(other):
            return np.arange(len(self.columns[0]))
        if not len(other.columns[0]):
            return np.full(len(self.columns[0]), ABSENT)
        at, found = self._by_hash(other)
        equal = found.copy()
        for mine, theirs in zip(self.columns, other.columns, strict=True):
            equal &= mine == theirs[at]
        clash = (found & ~equal) | self.shared | (other.shared[at] & found)
        at = np.where(equal, at, ABSENT)
        at[clash] = AMBIGUOUS
        return at

    def among(self, few: "Index") -> Ints:
        """Where each key stands in `few`, ABSENT where it does not. This one is not sorted, however long it is;
        of two keys of `few` with one hash, one is not found.
        """
        places = np.full(len(self.columns[0]), ABSENT)
        if len(few.columns[0]):
            at, found = self._by_hash(few)
            rows = np.flatnonzero(found)
            for mine, theirs in zip(self.columns, few.columns, strict=True):
                rows = rows[mine[rows] == theirs[at[rows]]]
            places[rows] = at[rows]
        return places

    def _by_hash(self, other: "Index") -> tuple[Ints, NDArray[np.bool_]]:
        """The place in `other` that each hash would have, and whether it is there."""
        place = np.searchsorted(other.ordered, self.hashes)
        at: Ints = other.order[np.minimum(place, len(other.order) - 1)]
        return at, other.hashes[at] == self.hashes

    def _same_as(self, other: "Index") -> bool:
        """Usual on a quiet server: the same entries in the same order."""
        return all(
            np.array_equal(mine, theirs) for mine, theirs in zip(self.columns, other.columns, strict=True)
        )

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        total = np.zeros(len(self.columns[0]), np.uint64)
        for column, factor in zip(self.columns, _MIX, strict=True):
            total = (total ^ column.astype(np.uint64)) * np.uint64(factor)
        return total

    @cached_property
    def order(self) -> Ints:
        return np.argsort(self.hashes)

    @cached_property
    def ordered(self) -> NDArray[np.uint64]:
        return self.hashes[self.order]

    @cached_property
    def shared(self) -> NDArray[np.bool_]:
        """Which keys share their hash with another one of this reading."""
        twice = self.ordered[1:] == self.ordered[:-1]
        shared = np.zeros(len(self.order), np.bool_)
        if twice.any():
            shared[self.order[1:][twice]] = True
            shared[self.order[:-1][twice]] = True
        return shared
