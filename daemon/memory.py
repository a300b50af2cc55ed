"""What pgvigil remembers of one target's readings: values over time, and what changed."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime

from pgvigil.model.change import Change
from pgvigil.model.series import Point, Sample
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector

Place = tuple[str, str | None]  # feed, database
Key = tuple[str, str | None, str, str]  # feed, database, series, key

_MOST_POINTS = 400
_MOST_CHANGES = 200  # of one feed and database


class Memory:
    """Thread-safe: the lanes of a target bring readings at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: dict[Key, deque[Point]] = {}
        self._epochs: dict[Key, str] = {}
        self._known: dict[Place, tuple[datetime, Mapping[str, str]]] = {}
        self._changes: dict[Place, deque[Change]] = {}

    def take(self, snapshot: Snapshot[object], collector: Collector[object]) -> None:
        """Remember what `collector` says is to be remembered of its reading."""
        with self._lock:
            for series, samples_of in collector.series.items():
                for sample in samples_of(snapshot.rows):
                    self._add((snapshot.collector, snapshot.database, series, sample.key), sample, snapshot)
            if collector.journal is not None:
                self._compare(snapshot, collector.journal(snapshot.rows))

    def points(self, feed: str, database: str | None, series: str, key: str = "") -> Sequence[Point]:
        """Of one series, the oldest first."""
        with self._lock:
            return tuple(self._points.get((feed, database, series, key), ()))

    def changes(self, feed: str, database: str | None) -> Sequence[Change]:
        """Of one feed's journal, the oldest first."""
        with self._lock:
            return tuple(self._changes.get((feed, database), ()))

    def forget(self, feed: str, database: str | None = None) -> None:
        """It is read no more: should it be again, nothing is compared with what was read before."""
        with self._lock:
            for key in [key for key in self._points if key[:2] == (feed, database)]:
                del self._points[key]
                self._epochs.pop(key, None)

    def _add(self, key: Key, sample: Sample, snapshot: Snapshot[object]) -> None:
        if self._epochs.get(key) != sample.epoch:
            self._points.pop(key, None)
            self._epochs[key] = sample.epoch
        points = self._points.setdefault(key, deque(maxlen=_MOST_POINTS))
        points.append(Point(snapshot.taken_at, sample.value))

    def _compare(self, snapshot: Snapshot[object], now: Mapping[str, str]) -> None:
        place = snapshot.collector, snapshot.database
        known = self._known.get(place)
        self._known[place] = snapshot.taken_at, now
        if known is None:
            return
        after, before = known
        changes = self._changes.setdefault(place, deque(maxlen=_MOST_CHANGES))
        for key in sorted(before.keys() | now.keys()):
            old, new = before.get(key), now.get(key)
            if old != new:
                changes.append(
                    Change(
                        database=snapshot.database,
                        key=key,
                        old=old,
                        new=new,
                        after=after,
                        at=snapshot.taken_at,
                    )
                )
