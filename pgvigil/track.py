"""The points of one series in little memory: all recent ones, and of older ones the fewer the older they are.

Older than the last RECENT, a point stays when it is the first of its slice of time. Slices are powers of two of
seconds, aligned, and at most a seventh of their age: a wider one begins where a narrower one begins, so that what
was dropped is never missed later, and no stretch of time is off by more than a seventh of its length. Readings a
minute apart are 100 to 125 points after 30 days; of those ten minutes apart, 75 to 100.
"""

import struct
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import frexp, isfinite

from pgvigil.model.series import Point

RECENT = 24  # points
SPAN_S = 30 * 86_400.0
MOST = 144  # points; after each thinning RECENT fewer, so that the next one is a while off
FRACTION = 7  # of its age that a slice of time is at most

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PER_S = 1_000_000.0


class Track:
    """Not thread-safe. 16 bytes a point: microseconds since 1970, which a double holds exactly, and the value."""

    __slots__ = ("_flat", "_thin_at")

    def __init__(self) -> None:
        self._flat = array("d")  # stamp, value, stamp, value ...
        self._thin_at = 2 * RECENT

    @classmethod
    def unpacked(cls, data: bytes) -> "Track":
        """What `packed` gave; raises ValueError when it is something else."""
        if not data or len(data) % 16:
            raise ValueError(f"{len(data)} bytes are no whole points")
        track = cls()
        track._flat.extend(struct.unpack(f"<{len(data) // 8}d", data))
        stamps = track._flat[::2]
        if not all(map(isfinite, track._flat)) or any(old >= new for old, new in pairwise(stamps)):
            raise ValueError("the points are in no order")
        track._thin_at = min(MOST, len(track) + RECENT)
        return track

    def packed(self) -> bytes:
        """The same on every machine."""
        return struct.pack(f"<{len(self._flat)}d", *self._flat)

    def __len__(self) -> int:
        return len(self._flat) // 2

    def __iter__(self) -> Iterator[Point]:
        """The oldest first."""
        for stamp, value in zip(self._flat[::2], self._flat[1::2], strict=True):
            yield Point(_EPOCH + timedelta(microseconds=stamp), value)

    @property
    def last_at(self) -> datetime:
        """Raises IndexError without a point."""
        return _EPOCH + timedelta(microseconds=self._flat[-2])

    def add(self, at: datetime, value: float) -> None:
        """What claims to be of `at` or later was stamped by a clock that was wrong, and is forgotten."""
        stamp = float((at - _EPOCH) // _MICROSECOND)
        flat = self._flat
        while flat and flat[-2] >= stamp:
            del flat[-2:]
        flat.append(stamp)
        flat.append(value)
        if len(flat) >= 2 * self._thin_at:
            self._thin()

    def _thin(self) -> None:
        flat = self._flat
        old = max(0, len(flat) - 2 * RECENT)
        kept = array("d")
        for at in range(0, old, 2):
            stamp, age_s = flat[at], (flat[-2] - flat[at]) / _PER_S
            slice_us = _slice_s(age_s) * _PER_S
            if age_s <= SPAN_S and (not kept or kept[-2] // slice_us != stamp // slice_us):
                kept.append(stamp)
                kept.append(flat[at + 1])
        kept.extend(flat[old:])
        self._flat = kept[-2 * (MOST - RECENT) :]
        self._thin_at = min(MOST, len(self) + RECENT)


def _slice_s(age_s: float) -> float:
    """The largest power of two that is no more than the fraction of the age."""
    exponent = frexp(age_s / FRACTION)[1]
    return float(2.0 ** (exponent - 1))
