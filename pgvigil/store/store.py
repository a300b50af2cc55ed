"""The store as the rest of pgvigil sees it."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import Connection

from pgvigil.store import care, copies, location, opening, state
from pgvigil.store.database import Database, reading_engine, uri, writing_engine
from pgvigil.store.deliveries import Deliveries
from pgvigil.store.digests import Digests
from pgvigil.store.incidents import Incidents
from pgvigil.store.state import StateValues
from pgvigil.store.texts import Texts

_PROBE_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Store:
    """What pgvigil remembers, by family. Made by `open`; every call may raise StoreError."""

    path: Path
    incidents: Incidents
    deliveries: Deliveries
    digests: Digests
    texts: Texts
    state: StateValues
    recovered: copies.Recovered | None  # what the opening had to mend
    _database: Database
    _lock: location.Lock | None

    @classmethod
    def open(cls, url: str, *, exclusive: bool = True) -> Self:
        """The store at `sqlite:////path`, or SetupError with the reason and the fix.

        `exclusive` creates and upgrades it where needed and holds it against every other writer; without,
        it must exist, is only read, and may be in use by another process.
        """
        path = location.path_of(url)
        return cls._to_write(path) if exclusive else cls._to_read(path)

    @classmethod
    def _to_write(cls, path: Path) -> Self:
        with ExitStack() as undo:
            lock = location.Lock(path)
            undo.callback(lock.release)
            recovered = opening.prepare(path)
            database = Database(reading_engine(uri(path, "rw")), writing_engine(path), _probe)
            opening.first_write(path, database, _probe)
            undo.pop_all()
        return cls._of(path, database, lock, recovered)

    @classmethod
    def _to_read(cls, path: Path) -> Self:
        return cls._of(path, Database(reading_engine(opening.readable(path)), None, _probe), None)

    @classmethod
    def _of(
        cls,
        path: Path,
        database: Database,
        lock: location.Lock | None,
        recovered: copies.Recovered | None = None,
    ) -> Self:
        return cls(
            path=path,
            incidents=Incidents(database),
            deliveries=Deliveries(database),
            digests=Digests(database),
            texts=Texts(database),
            state=StateValues(database),
            recovered=recovered,
            _database=database,
            _lock=lock,
        )

    @property
    def writable(self) -> bool:
        """Whether the last write succeeded and none hangs; answered at once, and probed in the background."""
        return self._database.writable(probe_after_s=_PROBE_AFTER_S)

    @property
    def busy_s(self) -> float:
        """How long the write at hand has been going on; 0 when there is none."""
        return self._database.busy_s

    @property
    def errors(self) -> int:
        """Failed writes since the store was opened."""
        return self._database.errors

    def copy(self) -> copies.Copy:
        """Replace the last good copy by one of now; nobody waits for it. Raises StoreError, and its subclass
        DamagedStoreError when the store cannot be read to its end.
        """
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
        return care.prune(self._database, keep)

    def rewrite(self) -> None:
        """Write the file anew without free pages; everybody waits."""
        care.rewrite(self._database)

    def rows(self) -> Mapping[str, int]:
        """How many rows each table has."""
        return care.rows(self._database)

    def close(self) -> None:
        self._database.close()
        if self._lock is not None:
            self._lock.release()


def _probe(connection: Connection) -> None:
    state.put(connection, "writer", os.getpid())
