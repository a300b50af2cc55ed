"""What the store holds, in memory: everything is read from here and changed here first; the file follows.

Row for row the same as the file, but for what is too much and can be had again or done without: statement texts and
the history of readings. Triggers note the key of
each row that changes, so that a batch of what the file lacks can be taken at any time, whatever was done meanwhile.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from pgvigil.store.database import cause, raw_connection, single_engine
from pgvigil.store.errors import StoreError
from pgvigil.store.schema import METADATA

T = TypeVar("T")

GROWTH_BYTES = 256 * 1024 * 1024  # that a store may grow by while no disk takes it
NOT_HELD = frozenset({"statement_text", "cluster", "series", "journal", "journal_change", "sample_block"})
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """A row that the file lacks: `values` are its columns now, None when it is no longer there."""

    table: str
    key: tuple[Any, ...]
    values: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class Batch:
    """All that the file lacks up to and with the write numbered `ticket`, as it was at one moment."""

    rows: Sequence[Row]
    sequences: Sequence[tuple[str, int]]  # the highest id ever given, by table
    ticket: int


class Memory:
    """One connection, one user at a time: each use takes micro- to milliseconds."""

    def __init__(self, file: sqlite3.Connection) -> None:
        """Holds what `file` holds, which is not used afterwards. Raises sqlite3.Error when it cannot be read."""
        self._raw = raw_connection(":memory:", "temp_store=MEMORY", f"page_size={_PAGE_BYTES}")
        _load(file, self._raw)
        _note_changes(self._raw)
        (pages,) = self._raw.execute("PRAGMA page_count").fetchone()
        self._raw.execute(f"PRAGMA max_page_count={pages + GROWTH_BYTES // _PAGE_BYTES}")
        self._raw.execute("PRAGMA foreign_keys=ON")
        self._engine = single_engine(self._raw)
        self._lock = threading.Lock()
        self._began_s: float | None = None
        self._ticket = 0

    def read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._turn(), self._engine.begin() as connection:
                return work(connection)
        except DBAPIError as error:
            raise StoreError(f"the store could not be read: {cause(error)}") from error

    def write(self, work: Callable[[Connection], T]) -> T:
        return self.change(work)[0]

    def change(self, work: Callable[[Connection], T]) -> tuple[T, int]:
        """What `work` gives, and the ticket with which the file has it; 0 when nothing changed."""
        try:
            with self._turn():
                before = self._raw.total_changes
                with self._engine.begin() as connection:
                    result = work(connection)
                if self._raw.total_changes == before:
                    return result, 0
                self._ticket += 1
                return result, self._ticket
        except DBAPIError as error:
            raise StoreError(f"the store could not be written: {cause(error)}") from error

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            self._began_s = time.monotonic()
            try:
                yield
            finally:
                self._began_s = None

    @property
    def busy_s(self) -> float:
        """How long the use at hand has been going on; 0 when there is none."""
        began_s = self._began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    @property
    def ticket(self) -> int:
        """The number of the last write."""
        return self._ticket

    def take(self) -> Batch:
        """What the file lacks; it counts as written from now on, unless it is given back."""
        with self._turn():
            noted = self._raw.execute("SELECT name, key FROM temp.changed").fetchall()
            self._raw.execute("DELETE FROM temp.changed")
            rows = [
                self._row(name, key) for name, key in {(name, tuple(json.loads(key))) for name, key in noted}
            ]
            sequences = self._raw.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
            return Batch(rows, sequences, self._ticket)

    def give_back(self, batch: Batch) -> None:
        """The file did not take it."""
        with self._turn():
            self._raw.executemany(
                "INSERT OR IGNORE INTO temp.changed (name, key) VALUES (?, ?)",
                [(row.table, json.dumps(row.key)) for row in batch.rows],
            )

    def lacking(self) -> int:
        """How many rows the file lacks."""
        with self._turn():
            (count,) = self._raw.execute("SELECT count(*) FROM temp.changed").fetchone()
        return int(count)

    def close(self) -> None:
        with self._turn():
            self._raw.close()

    def _row(self, name: str, key: tuple[Any, ...]) -> Row:
        table = METADATA.tables[name]
        values = self._raw.execute(f"SELECT {columns_of(table)} FROM {name} WHERE {key_of(table)}", key)
        return Row(name, key, values.fetchone())


def columns_of(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


def key_of(table: Table) -> str:
    """The condition on the primary key, with a parameter for each of its columns."""
    return " AND ".join(f'"{column.name}" = ?' for column in table.primary_key)


def held() -> Iterator[Table]:
    """Parents before children."""
    return (table for table in METADATA.sorted_tables if table.name not in NOT_HELD)


def _load(file: sqlite3.Connection, memory: sqlite3.Connection) -> None:
    made = (
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC"
    )
    memory.execute("BEGIN")
    for (statement,) in file.execute(made).fetchall():
        memory.execute(statement)
    for table in held():
        _copy(file, memory, table.name, columns_of(table))
    memory.execute("DELETE FROM sqlite_sequence")
    _copy(file, memory, "sqlite_sequence", "name, seq")
    memory.execute("COMMIT")


def _copy(file: sqlite3.Connection, memory: sqlite3.Connection, name: str, columns: str) -> None:
    places = ", ".join("?" for _ in columns.split(", "))
    rows = file.execute(f"SELECT {columns} FROM {name}")
    memory.executemany(f"INSERT INTO {name} ({columns}) VALUES ({places})", rows)


def _note_changes(memory: sqlite3.Connection) -> None:
    memory.execute("CREATE TEMP TABLE changed (name TEXT, key TEXT, PRIMARY KEY (name, key)) WITHOUT ROWID")
    for table in held():
        for event, sides in (("INSERT", ["NEW"]), ("UPDATE", ["OLD", "NEW"]), ("DELETE", ["OLD"])):
            keys = (", ".join(f'{side}."{column.name}"' for column in table.primary_key) for side in sides)
            notes = " ".join(
                f"INSERT OR IGNORE INTO changed (name, key) VALUES ('{table.name}', json_array({key}));"
                for key in keys
            )
            memory.execute(
                f"CREATE TEMP TRIGGER {table.name}_{event} AFTER {event} ON main.{table.name} BEGIN {notes} END"
            )
