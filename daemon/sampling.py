"""Keeps a history of readings, for rules to be tried on, and of what statements did. No lane waits for it, and a store that fails costs only this.

What it costs does not grow with the fleet: readings of all targets share one budget, and with more than MOST_PLACES
things to keep the targets take turns of half an hour, each with everything that is read of it.
"""

import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from daemon import statement_history
from daemon.clock import Now, Ticker
from daemon.lanes.pool import Once, Pool
from daemon.rehearsal.blocks import Filling, thinned
from daemon.rehearsal.readings import NOT_KEPT
from daemon.statement_history import StatementHistory
from daemon.statements import FEED
from pgvigil.model.facts import Facts
from pgvigil.model.history import Place
from pgvigil.model.sample import SampleBlock
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector
from pgvigil.store import Store, StoreError
from queries.history.filling import Text
from queries.tracked import Intervals

log = structlog.get_logger(__name__)

WRITE_S = 30.0
MOST_PER_S = 10.0  # of all readings of all targets: a quarter of a percent of a core
MOST_FRESH = 4000  # that wait to be taken up, should the worker be held up; the oldest are lost
MOST_READINGS = 240  # of a block
MOST_BLOCK_BYTES = 256 * 1024
MOST_PLACES = 1000  # that are kept at the same time: some ten targets of three databases
MOST_OPEN_BYTES = 16 * 1024 * 1024  # of readings that wait to be packed; those that come beyond are not kept
OPEN_S = 1800.0  # how much a crash may cost, and how long a turn is
MOST_ENDS = 200  # blocks that are packed in one go: some 100 ms
MOST_UNWRITTEN_BYTES = 16 * 1024 * 1024  # of blocks, while no disk takes them; the oldest are lost
FINE = timedelta(days=1)  # how long all readings are kept
THIN_AT_ONCE = 40  # blocks: some 20 ms
FORGOTTEN_S = 7200.0
PRUNED_S = 3600.0  # how long what is too old may stay while nothing comes

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
        self._seen_at_s: dict[_Key, float] = {}
        self._kept_at_s: dict[_Key, float] = {}
        self._fresh: deque[_Fresh] = deque(maxlen=MOST_FRESH)
        self._open: dict[_Key, Filling] = {}
        self._unwritten: deque[SampleBlock] = deque()
        self._pruned: tuple[SampleLimits, float] | None = None  # by which limits, and when
        self._failing = False
        self._statements = StatementHistory()
        self._once = Once(pool, self.write)

    def start(self, ticker: Ticker) -> None:
        """Plan it."""
        ticker.every("store/samples", WRITE_S, self._once.submit, first_after_s=WRITE_S)

    def take(self, snapshot: Snapshot[Any], collector: Collector[Any], facts: Facts) -> None:
        """Of a lane: keep the reading in mind, unless the one before is not old enough."""
        if collector.name in NOT_KEPT or self._limits().off:
            return
        key = snapshot.target, Place(collector.name, snapshot.database)
        with self._lock:
            self._seen_at_s[key] = snapshot.mono_s
            before_s = self._kept_at_s.get(key)
            if not self._has_its_turn(snapshot) or (
                before_s is not None and snapshot.mono_s - before_s < self._apart_s
            ):
                return
            self._kept_at_s[key] = snapshot.mono_s
            self._fresh.append((snapshot, collector, facts))

    def ran(self, intervals: Intervals, text: Text, databases: Mapping[int, str]) -> None:
        """Of a lane: keep in mind what the tracked statements of a target did."""
        if not self._limits().off:
            self._statements.take(intervals, text, databases, self._now().mono_s)

    def _has_its_turn(self, snapshot: Snapshot[Any]) -> bool:
        turns = -(-len(self._seen_at_s) // MOST_PLACES)
        now = int(snapshot.mono_s // OPEN_S)
        return (zlib.crc32(snapshot.target.encode(errors="replace")) - now) % turns == 0

    @property
    def _apart_s(self) -> float:
        return min(len(self._seen_at_s), MOST_PLACES) / MOST_PER_S

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
            for known in (self._seen_at_s, self._kept_at_s):
                for key in [key for key, at_s in known.items() if now_s - at_s > FORGOTTEN_S]:
                    del known[key]
        room_bytes = MOST_OPEN_BYTES - self._open_bytes
        for snapshot, collector, facts in fresh:
            if room_bytes <= 0:
                log.debug("readings_not_kept", reason="too much waits to be packed")
                return
            room_bytes -= self._put(snapshot, collector, facts)

    @property
    def _open_bytes(self) -> int:
        return sum(one.size_bytes for one in self._open.values())

    def _put(self, snapshot: Snapshot[Any], collector: Collector[Any], facts: Facts) -> int:
        """Into its block. By how many bytes that grew."""
        key = snapshot.target, Place(collector.name, snapshot.database)
        filling = self._open.get(key)
        if filling is not None and _done(filling, snapshot, facts):
            self._end(key)
            filling = None
        if filling is None:
            filling = self._open[key] = Filling(*key, facts, snapshot.mono_s)
        before_bytes = filling.size_bytes
        try:
            filling.add(snapshot, collector)
        except ValueError as error:  # a name that is no UTF-8
            log.debug("reading_not_kept", collector=collector.name, error=type(error).__name__)
        return filling.size_bytes - before_bytes

    def _end(self, key: _Key) -> None:
        filling = self._open.pop(key)
        if filling.at:
            self._unwritten.append(filling.block())

    def _close(self, *, whole: bool) -> None:
        """Those that are full or old enough, the oldest first; when there is much, some of the others too."""
        now_s = self._now().mono_s
        crowded = self._open_bytes > MOST_OPEN_BYTES / 2
        ended = [
            key
            for key, filling in self._open.items()  # the oldest first
            if whole or crowded or _full(filling) or now_s - filling.since_s >= OPEN_S
        ]
        for key in ended if whole else ended[:MOST_ENDS]:
            self._end(key)
        self._unwritten.extend(self._statements.ended(now_s, whole=whole))
        while sum(len(one.data) for one in self._unwritten) > MOST_UNWRITTEN_BYTES:
            self._unwritten.popleft()

    def _written(self) -> bool:
        limits, blocks, moment = self._limits(), tuple(self._unwritten), self._now()
        if not blocks and not self._prunes(limits, moment.mono_s):
            return True
        since = moment.utc - timedelta(seconds=limits.keep_s)
        try:
            self._store.samples.add(blocks, since=since, most_bytes=0 if limits.off else limits.most_bytes)
        except StoreError as error:
            self._note(error)
            return False
        self._unwritten.clear()
        self._pruned = limits, moment.mono_s
        self._note(None)
        return True

    def _prunes(self, limits: SampleLimits, now_s: float) -> bool:
        """Whether limits are to be kept although nothing came: they changed, or it is long ago."""
        if self._pruned is None:
            return True
        by, at_s = self._pruned
        return by != limits or now_s - at_s >= PRUNED_S

    def _thin(self) -> None:
        try:
            old = self._store.samples.fine(self._now().utc - FINE, THIN_AT_ONCE)
            if old:
                self._store.samples.replace([_thinned(one) for one in old])
        except StoreError as error:
            self._note(error)

    def _note(self, error: StoreError | None) -> None:
        """Said once for as long as it lasts."""
        if error is not None and not self._failing:
            log.warning("samples_not_kept", error=str(error))
        self._failing = error is not None


def _thinned(block: SampleBlock) -> SampleBlock:
    return statement_history.thinned(block) if block.collector == FEED else thinned(block)


def _full(filling: Filling) -> bool:
    return len(filling.at) >= MOST_READINGS or filling.size_bytes >= MOST_BLOCK_BYTES


def _done(filling: Filling, snapshot: Snapshot[Any], facts: Facts) -> bool:
    """Whether the reading belongs into a block of its own: the server is not what it was, or the clock went back."""
    if filling.at and snapshot.taken_at <= filling.at[-1]:
        return True
    return _full(filling) or (facts is not filling.facts and facts != filling.facts)
