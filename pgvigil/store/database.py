"""One SQLite file: one thread that writes, any number of threads that read."""

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from pgvigil.store.errors import StoreError

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0  # nobody else writes; only a copy or a hand-run sqlite3 can hold the lock
WAL_BYTES = 16 * 1024 * 1024  # what the log keeps of the disk after a burst of writes
STUCK_AFTER_S = 30.0  # a write takes milliseconds; one that takes this long is a hung disk


def uri(path: Path, mode: str) -> str:
    """What SQLite opens; `mode` is ro, rw or rwc (rw never creates: a store that was deleted is an error)."""
    return f"file:{quote(str(path))}?mode={mode}"


def raw_connection(location: str, *pragmas: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        location, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def writing_engine(path: Path, mode: str = "rw") -> Engine:
    """One connection. Every transaction begins as a writer: an upgrade from reading would lose the race."""
    pragmas = (
        "auto_vacuum=INCREMENTAL",  # counts for a new file, and only before anything else is set
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"journal_size_limit={WAL_BYTES}",
    )
    return _engine(lambda: raw_connection(uri(path, mode), *pragmas), "BEGIN IMMEDIATE", connections=1)


def reading_engine(location: str) -> Engine:
    """Connections that cannot write. A transaction sees one moment of the store."""
    return _engine(lambda: raw_connection(location, "query_only=ON"), "BEGIN", connections=8)


def _engine(connect: Callable[[], sqlite3.Connection], begin: str, *, connections: int) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_S,
    )

    # The driver would begin late and as a reader; with isolation_level None the transactions are ours.
    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


class Database:
    """Runs closures in transactions: `write` in the one writing thread, `read` in the caller's.

    Both raise StoreError when nothing was done. A closure must not call either: it would wait for itself.
    """

    def __init__(self, reader: Engine, writer: Engine | None, probe: Callable[[Connection], None]) -> None:
        self._reader = reader
        self._writer = writer
        self._probe = probe
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
        self._last_write_ok = True
        self._last_write_s = time.monotonic()
        self._write_began_s: float | None = None
        self.errors = 0

    def read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as connection, connection.begin():
                return work(connection)
        except (DBAPIError, PoolTimeoutError) as error:
            raise StoreError(f"the store could not be read: {_cause(error)}") from error

    def write(self, work: Callable[[Connection], T]) -> T:
        return self._submit(work).result()

    def writable(self, *, probe_after_s: float) -> bool:
        """Whether the last write succeeded and none hangs, at once.

        When the last write is older than `probe_after_s` one is begun in the background, so that the answer
        is right when this is asked regularly, also while nothing else is written.
        """
        began_s, now_s = self._write_began_s, time.monotonic()
        if began_s is not None:
            return self._last_write_ok and now_s - began_s < STUCK_AFTER_S
        if self._writer is not None and now_s - self._last_write_s > probe_after_s:
            self._last_write_s = now_s  # one probe at a time
            self._submit(self._probe)
        return self._writer is not None and self._last_write_ok

    @property
    def busy_s(self) -> float:
        """How long the write at hand has been going on; 0 when there is none."""
        began_s = self._write_began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    def close(self) -> None:
        """Waits for the write that is going on. Closing the last connection folds the WAL into the file."""
        self._thread.shutdown(wait=True)
        self._reader.dispose()
        if self._writer is not None:
            self._writer.dispose()

    def _submit(self, work: Callable[[Connection], T]) -> Future[T]:
        if self._writer is None:
            raise StoreError("the store is open for reading only")
        try:
            return self._thread.submit(self._transaction, self._writer, work)
        except RuntimeError as error:
            raise StoreError("the store is closed") from error

    def _transaction(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        self._write_began_s = time.monotonic()
        ok = False
        try:
            with engine.begin() as connection:
                result = work(connection)
            ok = True
        except (DBAPIError, PoolTimeoutError) as error:
            self.errors += 1
            engine.dispose()  # a connection that met an I/O error is not trusted again
            raise StoreError(f"the store could not be written: {_cause(error)}") from error
        else:
            return result
        finally:
            self._last_write_ok = ok
            self._last_write_s = time.monotonic()
            self._write_began_s = None


def _cause(error: Any) -> str:
    """The driver's own words: SQLAlchemy's would add the statement and its parameters."""
    return str(getattr(error, "orig", None) or type(error).__name__)
