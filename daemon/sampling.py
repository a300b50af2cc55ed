"""Keeps a history of readings, for rules to be tried on. No lane waits for it, and a store that fails costs only this."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from daemon.clock import Now, Ticker
from daemon.lanes.pool import Once, Pool
from daemon.rehearsal.blocks import Filling, thinned
from daemon.rehearsal.readings import can_be_written
from pgvigil.model.facts import Facts
from pgvigil.model.history import Place
from pgvigil.model.sample import SampleBlock
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector
from pgvigil.store import Store, StoreError

log = structlog.get_logger(__name__)

WRITE_S = 30.0
MOST_PER_S = 10.0  # of all readings of all targets: a quarter of a percent of a core
MOST_FRESH = 4000  # that wait to be taken up, should the worker be held up; the oldest are lost
MOST_READINGS = 240  # of a block
MOST_BLOCK_BYTES = 256 * 1024
MOST_OPEN_BYTES = 32 * 1024 * 1024
OPEN_S = 1800.0  # how much a crash may cost
MOST_UNWRITTEN = 2000  # blocks, while no disk takes them
FINE = timedelta(days=1)  # how long all readings are kept
THIN_AT_ONCE = 40  # blocks: some 20 ms
FORGOTTEN_S = 7200.0
_OWN = frozenset(
    {"availability"}
)  # a server that does not answer gives no reading, and that is what counts there

_Key = tuple[str, Place]
_Fresh = tuple[Snapshot[Any], Collector[Any], Facts]


@dataclass(frozen=True, slots=True)
class SampleLimits:
    """How long readings are kept, and how much they may take."""

    keep_s: float
    most_bytes: int

    @property
    def off(self) -> bool:
        return not self.keep_s or not self.most_bytes


class Sampling:
    """`limits` are those of the settings of now. With more targets each thing is kept less often, so that the work stays
    the same: at most MOST_PER_S readings.
    """

    def __init__(self, store: Store, pool: Pool, now: Now, limits: Callable[[], SampleLimits]) -> None:
        self._store = store
        self._now = now
        self._limits = limits
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._kept_at_s: dict[_Key, float] = {}
        self._fresh: deque[_Fresh] = deque(maxlen=MOST_FRESH)
        self._open: dict[_Key, Filling] = {}
        self._unwritten: deque[SampleBlock] = deque(maxlen=MOST_UNWRITTEN)
        self._failing = False
        self._once = Once(pool, self.write)

    def start(self, ticker: Ticker) -> None:
        """Plan it."""
        ticker.every("store/samples", WRITE_S, self._once.submit, first_after_s=WRITE_S)

    def take(self, snapshot: Snapshot[Any], collector: Collector[Any], facts: Facts) -> None:
        """Of a lane: keep the reading in mind, unless the one before is not old enough."""
        if collector.name in _OWN or not can_be_written(collector) or self._limits().off:
            return
        key = snapshot.target, Place(collector.name, snapshot.database)
        with self._lock:
            before_s = self._kept_at_s.get(key)
            if before_s is not None and snapshot.mono_s - before_s < self._apart_s:
                return
            self._kept_at_s[key] = snapshot.mono_s
            self._fresh.append((snapshot, collector, facts))

    @property
    def _apart_s(self) -> float:
        return len(self._kept_at_s) / MOST_PER_S

    def write(self, *, whole: bool = False) -> None:
        """Put what is fresh into blocks and write those that are full; with `whole` all of them."""
        with self._writing:
            self._take_up()
            self._close(whole=whole)
            if self._written() and not whole:
                self._thin()

    def _take_up(self) -> None:
        now_s = self._now().mono_s
        with self._lock:
            fresh = tuple(self._fresh)
            self._fresh.clear()
            for key in [key for key, at_s in self._kept_at_s.items() if now_s - at_s > FORGOTTEN_S]:
                del self._kept_at_s[key]
        for snapshot, collector, facts in fresh:
            key = snapshot.target, Place(collector.name, snapshot.database)
            filling = self._open.get(key)
            if filling is not None and _done(filling, snapshot, facts):
                self._end(key)
                filling = None
            if filling is None:
                filling = self._open[key] = Filling(*key, facts, snapshot.mono_s)
            try:
                filling.add(snapshot, collector)
            except ValueError as error:  # a name that is no UTF-8
                log.debug("reading_not_kept", collector=collector.name, error=type(error).__name__)

    def _end(self, key: _Key) -> None:
        filling = self._open.pop(key)
        if filling.at:
            self._unwritten.append(filling.block())

    def _close(self, *, whole: bool) -> None:
        now_s = self._now().mono_s
        crowded = sum(one.size_bytes for one in self._open.values()) > MOST_OPEN_BYTES
        for key, filling in tuple(self._open.items()):
            if whole or crowded or _full(filling) or now_s - filling.since_s >= OPEN_S:
                self._end(key)

    def _written(self) -> bool:
        limits, blocks = self._limits(), tuple(self._unwritten)
        if not blocks:
            return True
        since = self._now().utc - timedelta(seconds=limits.keep_s)
        try:
            self._store.samples.add(blocks, since=since, most_bytes=limits.most_bytes)
        except StoreError as error:
            self._note(error)
            return False
        self._unwritten.clear()
        self._note(None)
        return True

    def _thin(self) -> None:
        try:
            old = self._store.samples.fine(self._now().utc - FINE, THIN_AT_ONCE)
            if old:
                self._store.samples.replace([thinned(one) for one in old])
        except StoreError as error:
            self._note(error)

    def _note(self, error: StoreError | None) -> None:
        """Said once for as long as it lasts."""
        if error is not None and not self._failing:
            log.warning("samples_not_kept", error=str(error))
        self._failing = error is not None


def _full(filling: Filling) -> bool:
    return len(filling.at) >= MOST_READINGS or filling.size_bytes >= MOST_BLOCK_BYTES


def _done(filling: Filling, snapshot: Snapshot[Any], facts: Facts) -> bool:
    """Whether the reading belongs into a block of its own: the server is not what it was, or the clock went back."""
    if filling.at and snapshot.taken_at <= filling.at[-1]:
        return True
    return _full(filling) or (facts is not filling.facts and facts != filling.facts)
