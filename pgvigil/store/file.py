"""The file that follows the memory: a batch at a time, each in one transaction."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from pgvigil.store import state
from pgvigil.store.database import raw_connection, reading_engine, uri, writing_engine
from pgvigil.store.memory import Batch, Memory, Row, columns_of, key_of
from pgvigil.store.schema import METADATA, REVISION

T = TypeVar("T")


class File:
    """`save` is called by one thread, `read` and `write` by any.

    Every method may raise DBAPIError (`save` OSError too), and may take as long as the disk takes.
    """

    def __init__(self, path: Path) -> None:
        # The rows come as they stand in memory, where the keys were checked: a parent is replaced, not deleted.
        self._engine = writing_engine(path, more=("foreign_keys=OFF",))
        self._turn = threading.Lock()
        self.written_at = _written_at(path)  # for the last time by `save`
        self._path = path
        self._reader = reading_engine(uri(path, "rw"))

    def save(self, batch: Batch) -> None:
        """All of it or none. Something is written also for an empty batch, to see that it can be."""
        with self._turn:
            self._save(batch)
            self.written_at = _written_at(self._path)

    def _save(self, batch: Batch) -> None:
        with self._engine.begin() as connection:
            for name, rows in groupby(sorted(batch.rows, key=attrgetter("table")), attrgetter("table")):
                _replace(connection, name, list(rows))
            for name, highest in batch.sequences:
                _raise_sequence(connection, name, highest)
            state.put(connection, "writer", os.getpid())

    def write(self, work: Callable[[Connection], T]) -> T:
        """In a transaction of its own, of what the memory does not hold."""
        with self._turn, self._engine.begin() as connection:
            return work(connection)

    def read(self, work: Callable[[Connection], T]) -> T:
        with self._reader.begin() as connection:
            return work(connection)

    def distrust(self) -> None:
        """A connection that met an error is not used again."""
        self._engine.dispose()

    def close(self) -> None:
        """Closing the last connection folds the log into the file."""
        self._reader.dispose()
        self._engine.dispose()


def load(path: Path) -> Memory:
    """The memory of the store at `path`; raises sqlite3.Error when it cannot be read.

    Reading a file with a log takes a few pages of disk. Without any to spare it is read as what nobody else
    changes, which holds: the caller has the store's lock.
    """
    try:
        return _load(uri(path, "ro"))
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            return _load(uri(path, "rw"), "locking_mode=EXCLUSIVE")
        return _load(uri(path, "ro") + "&immutable=1")


def _load(location: str, *pragmas: str) -> Memory:
    with closing(raw_connection(location, *pragmas)) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("none",)
        if found != REVISION:
            raise sqlite3.DatabaseError(f"the store has revision {found}")
        return Memory(connection)


def _replace(connection: Connection, name: str, rows: Iterable[Row]) -> None:
    """First everything goes, then what is there comes: in between no two rows claim the same unique value."""
    table, rows = METADATA.tables[name], list(rows)
    connection.exec_driver_sql(
        f"DELETE FROM {name} WHERE {key_of(table)}",
        [row.key for row in rows],
    )
    there = [row.values for row in rows if row.values is not None]
    if there:
        places = ", ".join("?" for _ in table.columns)
        connection.exec_driver_sql(f"INSERT INTO {name} ({columns_of(table)}) VALUES ({places})", there)


def _raise_sequence(connection: Connection, name: str, highest: int) -> None:
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (highest, name)
    )
    if not changed.rowcount:
        connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, highest))


def _written_at(path: Path) -> datetime:
    """When the file or its log was last written. Raises OSError, also when somebody has deleted the file, to which
    SQLite would go on writing where nobody finds it.
    """
    log = path.with_name(path.name + "-wal")
    written_s = path.stat().st_mtime
    return datetime.fromtimestamp(max(written_s, log.stat().st_mtime if log.exists() else written_s), UTC)
