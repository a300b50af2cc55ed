"""What was done shortly before an incident, or while it lasted, as words of its likely cause."""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from alerts.routes import fits
from pgvigil.model.marker import Marker
from pgvigil.store.markers import MOST_KEPT
from pgvigil.text import one_line
from pgvigil.units import format_duration

NEAR = timedelta(hours=1)  # a cause whose effect takes longer to be seen is not told by its time
MOST_BEFORE = 2
MOST_AFTER = 1

Near = Callable[[Mapping[str, str], datetime], str]


def nothing_near(_described: Mapping[str, str], _since: datetime) -> str:
    """Nobody has marked anything."""
    return ""


class MarkerStore(Protocol):
    """Every method raises StoreError."""

    def list(self) -> Sequence[Marker]: ...
    def add(self, marker: Marker) -> None: ...


class Markers:
    """Those that are there, in memory and in the store. Thread-safe; asking never waits for the store."""

    def __init__(self, store: MarkerStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._all: tuple[Marker, ...] = tuple(store.list())

    @property
    def all(self) -> tuple[Marker, ...]:
        """The oldest first."""
        return self._all

    def add(self, marker: Marker) -> Marker:
        """The marker of that id, which is there now: a pipeline may send it again. Raises StoreError."""
        with self._lock:
            there = next((one for one in self._all if one.id == marker.id), None)
            if there is not None:
                return there
            self._store.add(marker)
            self._all = tuple(sorted((*self._all, marker), key=_order))[-MOST_KEPT:]
            return marker

    def near(self, described: Mapping[str, str], since: datetime) -> str:
        """What was done near `since`, when something was first seen of what `described` says: sentences, or ""."""
        known = self._all
        first = bisect_left(known, since - NEAR, key=_at)
        last = bisect_right(known, since + NEAR, key=_at)
        about = [one for one in known[first:last] if concerns(one, described)]
        before = [one for one in about if one.at <= since]
        after = [one for one in about if one.at > since]
        # Nearest first.
        told = [f"First seen {_distance(one, since)} after: {_said(one)}." for one in reversed(before)]
        later = [f"{_distance(one, since)} later: {_said(one)}." for one in after]
        return " ".join((*told[:MOST_BEFORE], *later[:MOST_AFTER]))


def concerns(marker: Marker, described: Mapping[str, str]) -> bool:
    """Whether it is about something with those values."""
    return fits(marker.match, described)


def _at(marker: Marker) -> datetime:
    return marker.at


def _order(marker: Marker) -> tuple[datetime, str]:
    return marker.at, marker.id


def _distance(marker: Marker, since: datetime) -> str:
    return format_duration(abs((since - marker.at).total_seconds()))


def _said(marker: Marker) -> str:
    return f"{one_line(marker.text, 120)} (by {one_line(marker.author, 63)})"
