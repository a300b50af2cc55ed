"""How SQLite is opened, and what a family of tables needs of a database."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool, StaticPool

from pgvigil.store.errors import StoreError

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0  # nobody else writes; only a copy or a hand-run sqlite3 can hold the lock
WAL_BYTES = 16 * 1024 * 1024  # what the log keeps of the disk after a burst of writes


def uri(path: Path, mode: str) -> str:
    """What SQLite opens; `mode` is ro, rw or rwc (rw never creates: a store that was deleted is an error)."""
    return f"file:{quote(str(path))}?mode={mode}"


def reading_uri(path: Path) -> str:
    """What SQLite opens to read the file at `path`, also where this process may create nothing beside it."""
    writable = os.access(path.parent, os.W_OK, effective_ids=True)
    if writable or path.with_name(path.name + "-wal").exists():
        return uri(path, "ro")
    # No daemon runs, and SQLite could not create the files that guard against one.
    return uri(path, "ro") + "&immutable=1"


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


def writing_engine(path: Path, mode: str = "rw", more: tuple[str, ...] = ("foreign_keys=ON",)) -> Engine:
    """One connection, with the pragmas `more`. Every transaction begins as a writer: an upgrade from reading would lose the race."""
    pragmas = (
        "auto_vacuum=INCREMENTAL",  # counts for a new file, and only before anything else is set
        "journal_mode=WAL",
        "synchronous=FULL",
        f"journal_size_limit={WAL_BYTES}",
        *more,
    )
    return _engine(lambda: raw_connection(uri(path, mode), *pragmas), "BEGIN IMMEDIATE", connections=1)


def reading_engine(location: str) -> Engine:
    """Connections that cannot write. A transaction sees one moment of the store."""
    return _engine(lambda: raw_connection(location, "query_only=ON"), "BEGIN", connections=8)


def single_engine(connection: sqlite3.Connection) -> Engine:
    """For one connection that is opened already; who uses it sees to it that there is one at a time."""
    return _begun(create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool), "BEGIN")


def _engine(connect: Callable[[], sqlite3.Connection], begin: str, *, connections: int) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_S,
    )
    return _begun(engine, begin)


def _begun(engine: Engine, begin: str) -> Engine:
    # The driver would begin late and as a reader; with isolation_level None the transactions are ours.
    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


class Database(Protocol):
    """Runs closures in transactions.

    Both methods raise StoreError when nothing was done. A closure must not call either: it would wait for itself.
    """

    def read(self, work: Callable[[Connection], T]) -> T: ...

    def write(self, work: Callable[[Connection], T]) -> T: ...


class ReadOnly:
    """A file that another process may be writing."""

    def __init__(self, location: str) -> None:
        self._engine = reading_engine(location)

    def read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect() as connection, connection.begin():
                return work(connection)
        except (DBAPIError, PoolTimeoutError) as error:
            raise StoreError(f"the store could not be read: {cause(error)}") from error

    def write(self, work: Callable[[Connection], T]) -> T:  # noqa: ARG002 - nothing is done
        raise StoreError("the store is open for reading only")

    def close(self) -> None:
        self._engine.dispose()


def cause(error: Any) -> str:
    """The driver's own words: SQLAlchemy's would add the statement and its parameters."""
    return str(getattr(error, "orig", None) or getattr(error, "strerror", None) or type(error).__name__)
