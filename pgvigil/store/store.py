"""The store as the rest of pgvigil sees it."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from pgvigil.store import care, copies, location, marker, opening, recovery
from pgvigil.store.database import ReadOnly
from pgvigil.store.deliveries import Deliveries
from pgvigil.store.digests import Digests
from pgvigil.store.errors import StoreError
from pgvigil.store.failover import DiskLimits, Failover, OnFile, Turn
from pgvigil.store.history import Histories
from pgvigil.store.incidents import Incidents
from pgvigil.store.markers import Markers
from pgvigil.store.recovery import Recovered
from pgvigil.store.samples import Samples
from pgvigil.store.silences import Silences
from pgvigil.store.starting import opened
from pgvigil.store.state import StateValues
from pgvigil.store.storms import Storms
from pgvigil.store.texts import Texts

_PROBE_AFTER_S = 5.0
TEXTS_S = 2.0  # that a lane waits for texts that are only in the file
HISTORY_S = 2.0  # for one batch of it, or for all of one target
CARE_S = 30.0


@dataclass(frozen=True, slots=True)
class Store:
    """What pgvigil remembers, by family. Made by `open`; every call may raise StoreError."""

    path: Path
    incidents: Incidents
    deliveries: Deliveries
    digests: Digests
    storms: Storms
    texts: Texts
    history: Histories
    silences: Silences
    markers: Markers
    samples: Samples
    state: StateValues
    recovered: Recovered | None  # what damage has cost
    _database: Failover | ReadOnly
    _lock: location.Lock | None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        exclusive: bool = True,
        on_turn: Callable[[Turn], None] = lambda _turn: None,
        limits: DiskLimits | None = None,
    ) -> Self:
        """The store at `sqlite:////path`, or SetupError with the reason and the fix.

        `exclusive` creates and upgrades it where needed and holds it against every other writer; without,
        it must exist, is only read, and may be in use by another process.

        `on_turn` is told, by threads of the store, when the disk fails and the store goes on from memory, and when
        the file has everything again. A store that exists and can be read opens also on a disk that is full.
        """
        path = location.path_of(url)
        if not exclusive:
            reader = ReadOnly(opening.readable(path))
            return cls._of(
                path, reader, Texts(reader), Histories(reader), Samples(reader), None, recovery.last(path)
            )
        with ExitStack() as undo:
            lock = location.Lock(path)
            undo.callback(lock.release)
            recovered, failover = opened(path, on_turn, limits)
            undo.pop_all()
        texts = Texts(OnFile(failover, TEXTS_S), failover)
        on_file = OnFile(failover, HISTORY_S)
        return cls._of(path, failover, texts, Histories(on_file), Samples(on_file), lock, recovered)

    @classmethod
    def _of(
        cls,
        path: Path,
        database: Failover | ReadOnly,
        texts: Texts,
        history: Histories,
        samples: Samples,
        lock: location.Lock | None,
        recovered: Recovered | None,
    ) -> Self:
        return cls(
            path=path,
            incidents=Incidents(database),
            deliveries=Deliveries(database),
            digests=Digests(database),
            storms=Storms(database),
            texts=texts,
            history=history,
            silences=Silences(database),
            markers=Markers(database),
            samples=samples,
            state=StateValues(database),
            recovered=recovered,
            _database=database,
            _lock=lock,
        )

    @property
    def _failover(self) -> Failover:
        if isinstance(self._database, ReadOnly):
            raise StoreError("the store is open for reading only")
        return self._database

    @property
    def writable(self) -> bool:
        """Whether the file takes what is written; answered at once, and probed in the background."""
        return not isinstance(self._database, ReadOnly) and self._database.writable(
            probe_after_s=_PROBE_AFTER_S
        )

    @property
    def in_memory_since(self) -> datetime | None:
        """Since when the file lacks what is done; None when it has everything. Known also to a reader."""
        if isinstance(self._database, ReadOnly):
            return marker.in_memory_since(self.path)
        standing = self._database.in_memory
        return None if standing is None else standing.since

    @property
    def busy_s(self) -> float:
        """How long the use at hand, which everybody waits for, has been going on; 0 when there is none."""
        return self._failover.busy_s

    @property
    def errors(self) -> int:
        """Writes that the file refused since the store was opened."""
        return 0 if isinstance(self._database, ReadOnly) else self._database.errors

    def copy(self) -> copies.Copy:
        """Replace the last good copy by one of now; nobody waits for it. Raises StoreError, and its subclass
        DamagedStoreError when the store cannot be read to its end.
        """
        if self._failover.in_memory is not None:
            raise StoreError("the store could not be copied: it is kept in memory, its file is behind")
        return copies.make(self.path)

    @property
    def size_bytes(self) -> int:
        """What the store takes of its disk, without copies. Raises OSError."""
        return copies.size_bytes(self.path)

    @property
    def last_copy(self) -> copies.Copy | None:
        """The last good copy of this store, if there is one."""
        return copies.last(self.path)

    def prune(self, keep: care.Keep) -> care.Pruned:
        """Forget what is beyond `keep`, in steps that hold up no other writer."""
        return care.prune(self._failover, OnFile(self._failover, CARE_S), keep)

    def rewrite(self) -> None:
        """Write the file anew without free pages; everybody waits."""
        care.rewrite(OnFile(self._failover, None))

    def rows(self) -> Mapping[str, int]:
        """How many rows each table has."""
        database = self._database
        return care.rows(database if isinstance(database, ReadOnly) else OnFile(database, CARE_S))

    def close(self) -> int:
        """Returns how many rows are lost, because the disk did not take them to the end. A disk that is known to
        hang is waited for a second; the lock is kept then, because what hangs may still write.
        """
        if isinstance(self._database, ReadOnly):
            self._database.close()
            return 0
        lost = self._database.close()
        if self._lock is not None and not self._database.hangs:
            self._lock.release()
        return lost
