"""The memory and the file together: a write is in the file before its caller goes on, while the disk allows it.

When it does not, callers go on from memory and the file follows later. One thread brings the file up to date;
nobody waits for it longer than WRITE_S, and after that nobody waits at all until it is quick again.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pgvigil.store.database import cause
from pgvigil.store.errors import StoreError
from pgvigil.store.file import File
from pgvigil.store.marker import Marker
from pgvigil.store.memory import Batch, Memory

T = TypeVar("T")

_NOT_NOW = "the disk of the store takes no writes"
_MARKER_S = 0.5
_TURNS_TO_CATCH_UP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLimits:
    """What of a disk is borne, and when it is trusted again. Usual is a write of 1 to 20 ms."""

    write_s: float = 2.0  # that a caller waits, with its place in the queue; past it the disk hangs
    slow_s: float = 1.0  # a write this slow, so many times in a row, is as bad as one that hangs
    slow_writes: int = 3
    probe_every_s: float = 5.0
    again_s: float = 1.0  # after a probe that was quick
    quick_s: float = 0.5
    quick_writes: int = 2
    close_s: float = 1.0  # that closing waits for a disk that is known to hang
    last_s: float = 5.0  # and for one that is not


@dataclass(frozen=True, slots=True)
class InMemory:
    """The file lacks what was done since then."""

    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The store goes on from memory (`now`), or the file has everything again, `rows` of it written since."""

    now: InMemory | None
    before: InMemory | None = None
    rows: int = 0


class Failover:
    """A `Database`. `on_turn` is called from threads of the store when the disk fails and when it is back."""

    def __init__(
        self,
        memory: Memory,
        file: File,
        marker: Marker,
        *,
        on_turn: Callable[[Turn], None] = lambda _turn: None,
        limits: DiskLimits | None = None,
        lost_since: datetime | None = None,
    ) -> None:
        self._memory = memory
        self._file = file
        self._marker = marker
        self._on_turn = on_turn
        self._limits = limits or DiskLimits()
        self._lost_since = lost_since  # since when the file lacks what the process before did
        self._written_at = file.written_at  # for the last time well
        self._changed = threading.Condition()
        self._saved = 0  # the ticket up to which the file has everything
        self._standing: InMemory | None = None
        self._wanted = self._stopping = self._closed = False
        self._quick = self._slow = 0  # writes in a row
        self._rows = 0  # that the file took since the store is in memory
        self._last_write_s = time.monotonic()
        self._turns: deque[Turn] = deque()
        self._under_way = 0  # rows that the disk has been given and has not confirmed
        self._writes = 0  # that ended well
        self.errors = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    # --- for everybody ----------------------------------------------------------------------------------

    def start(self, why: str = "") -> None:
        """Begin to write; in memory from the first moment when `why` says what is wrong with the disk."""
        if why:
            with self._changed:
                self._enter(why)
        self._thread.start()
        with self._changed:
            self._wanted = True
            self._changed.notify_all()
            if not self._changed.wait_for(self._tried, self._limits.write_s):
                self._enter(self._too_long)
        self._tell()

    def settle(self) -> None:
        """What the file lacked when the process before ended is accounted for, in the file if it takes writes."""
        with self._changed:
            if self._standing is None and self._lost_since is not None:
                self._lost_since = None
                self._marker.put(None, _MARKER_S)

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._memory.read(work)

    def write(self, work: Callable[[Connection], T]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        result, ticket = self._memory.change(work)
        self._wait_saved(ticket)
        return result

    def on_file(
        self,
        use: Callable[[File, Callable[[Connection], T]], T],
        work: Callable[[Connection], T],
        within_s: float | None,
    ) -> T:
        """Do `work` with the file alone; raises StoreError when it cannot be used now. A disk that hangs here
        hangs for all.
        """
        if self._standing is not None or self._stopping:
            raise StoreError(_NOT_NOW)
        future: Future[T] = Future()
        threading.Thread(
            target=_perform, args=(future, lambda: use(self._file, work)), name="store-file", daemon=True
        ).start()
        try:
            return future.result(within_s)
        except FutureTimeoutError:
            with self._changed:
                if self._standing is None:
                    self._enter(f"its file could not be used within {within_s:g} s")
            self._tell()
            raise StoreError(_NOT_NOW) from None

    @property
    def in_memory(self) -> InMemory | None:
        """Since when and why the file lacks what is done; None while it has everything."""
        return self._standing

    def lacking(self) -> int:
        """How many rows the file lacks."""
        return self._memory.lacking() + self._under_way

    def writable(self, *, probe_after_s: float) -> bool:
        """Whether the file takes writes, at once; when none was tried for so long, one is begun."""
        if self._standing is None and time.monotonic() - self._last_write_s > probe_after_s:
            with self._changed:
                self._wanted = True
                self._changed.notify_all()
        return self._standing is None and not self._closed

    @property
    def busy_s(self) -> float:
        """How long the use of the memory at hand has been going on, which everybody waits for; 0 without one.

        For ever when the thread that writes has ended, which only a defect can bring about.
        """
        if not (self._thread.is_alive() or self._stopping):
            return float("inf")
        return self._memory.busy_s

    def close(self) -> int:
        """Write what the file lacks, as far as the disk allows at once. Returns how many rows are lost."""
        with self._changed:
            self._stopping = self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(self._limits.last_s if self._standing is None else self._limits.close_s)
        lost = self.lacking() if self._standing is not None else 0
        if not self.hangs:
            self._memory.close()
        return lost

    @property
    def hangs(self) -> bool:
        """Whether the thread that writes has not come back from the disk, after `close`."""
        return self._thread.is_alive()

    # --- turning ----------------------------------------------------------------------------------------

    def _wait_saved(self, ticket: int) -> None:
        with self._changed:
            if ticket > self._saved and self._standing is None:
                self._wanted = True
                self._changed.notify_all()
                done = self._changed.wait_for(
                    lambda: self._saved >= ticket or self._standing is not None, self._limits.write_s
                )
                if not done:
                    self._enter(self._too_long)
        self._tell()

    def _tried(self) -> bool:
        return self._writes > 0 or self._standing is not None

    @property
    def _too_long(self) -> str:
        return f"a write took longer than {self._limits.write_s:g} s"

    def _enter(self, why: str) -> None:
        """The caller holds the condition: nobody goes on before the marker had its chance."""
        self._quick = self._rows = 0
        standing = InMemory(self._lost_since or self._written_at, why)
        self._marker.put(standing.since, _MARKER_S)
        self._standing = standing
        self._turns.append(Turn(standing))
        self._changed.notify_all()

    def _leave(self, before: InMemory) -> None:
        """The same, the other way round; the marker may come late, which costs a look at what was sent."""
        self._slow = 0
        self._standing = self._lost_since = None
        self._marker.put(None, _MARKER_S)
        self._turns.append(Turn(None, before, self._rows))
        self._changed.notify_all()

    def _tell(self) -> None:
        """Outside the condition, in order: who is told may take its time."""
        while self._turns:
            try:
                turn = self._turns.popleft()
            except IndexError:
                return
            self._on_turn(turn)

    # --- the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._pause():
            self._save()
            self._tell()
        if self._standing is not None or self._memory.ticket > self._saved:
            self._save_at_the_end()
        self._file.close()

    def _save_at_the_end(self) -> None:
        """One attempt, and when all is in the file the marker goes whatever the attempt took."""
        self._save()
        with self._changed:
            before = self._standing
            if before is not None and self._saved >= self._memory.ticket:
                self._leave(before)
        self._tell()

    def _pause(self) -> bool:
        """Until there is something to do; True when it is time to end."""
        with self._changed:
            limits = self._limits
            if self._standing is None:
                self._changed.wait_for(lambda: self._wanted or self._stopping)
            else:
                wait_s = limits.again_s if self._quick else limits.probe_every_s
                self._changed.wait_for(lambda: self._stopping, wait_s)
            self._wanted = False
            return self._stopping

    def _save(self) -> None:
        for _ in range(_TURNS_TO_CATCH_UP):
            batch, began_s = self._memory.take(), time.monotonic()
            self._under_way = len(batch.rows)
            try:
                self._file.save(batch)
            except (DBAPIError, PoolTimeoutError, OSError) as error:
                self._failed(batch, error)
                return
            finally:
                self._under_way = 0
            if self._saved_all(batch, time.monotonic() - began_s):
                return

    def _failed(self, batch: Batch, error: Exception) -> None:
        self.errors += 1
        self._memory.give_back(batch)
        self._file.distrust()
        with self._changed:
            self._last_write_s = time.monotonic()
            self._quick = 0
            if self._standing is None:
                self._enter(cause(error))

    def _saved_all(self, batch: Batch, took_s: float) -> bool:
        """Whether there is nothing to be done at once: while it is in memory, a good disk is to catch up."""
        limits = self._limits
        with self._changed:
            self._saved = batch.ticket
            self._written_at = self._file.written_at
            self._writes += 1
            self._rows += len(batch.rows)
            self._last_write_s = time.monotonic()
            self._slow = self._slow + 1 if took_s > limits.slow_s else 0
            self._quick = self._quick + 1 if took_s < limits.quick_s else 0
            self._changed.notify_all()
            before = self._standing
            if before is None:
                if self._slow >= limits.slow_writes:
                    self._enter(f"{limits.slow_writes} writes in a row took longer than {limits.slow_s:g} s")
                return True
            if self._quick < limits.quick_writes:
                return True
            if self._memory.ticket > self._saved:
                return False
            self._leave(before)
            return True


def _perform(future: Future[T], work: Callable[[], T]) -> None:
    """In a thread that may stay with the disk for ever."""
    try:
        future.set_result(work())
    except (DBAPIError, PoolTimeoutError) as error:
        future.set_exception(StoreError(f"the file of the store could not be used: {cause(error)}"))
    except BaseException as error:
        future.set_exception(error)
        raise


@dataclass(frozen=True, slots=True)
class OnFile:
    """A `Database` of what only the file has. `within_s` is how long a caller waits for the disk; None: for ever."""

    store: Failover
    within_s: float | None

    def read(self, work: Callable[[Connection], T]) -> T:
        return self.store.on_file(File.read, work, self.within_s)

    def write(self, work: Callable[[Connection], T]) -> T:
        return self.store.on_file(File.write, work, self.within_s)
