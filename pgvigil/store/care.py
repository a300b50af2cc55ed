"""How much the store remembers, and how it gives space back."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from pgvigil.store.database import Database
from pgvigil.store.history import Histories
from pgvigil.store.incidents import Incidents
from pgvigil.store.samples import Samples
from pgvigil.store.schema import METADATA
from pgvigil.store.texts import Texts

# What bounds each table. A test sees to it that none is left out.
BOUNDS = {
    "incident": "resolved ones by age and number; there is one open incident a fault",
    "incident_event": "with their incident; of each the first and the newest",
    "action": "with its incident, and the newest 200 of each",
    "silence": "active ones in number; the newest 500 of those that are over",
    "marker": "the newest 2,000",
    "delivery": "with their incident; one a sink",
    "digest": "one a sink, while a pause or a storm has yet to be told",
    "storm": "one a sink, of at most 500 incidents",
    "statement_text": "by size, of one target and of all; those of targets that are gone",
    "cluster": "one a target; those of targets that are gone",
    "series": "in number and points by who reads, by age; those of targets that are gone",
    "journal": "one for each that is read, by age; those of targets that are gone",
    "journal_change": "by age and number; those of targets that are gone",
    "sample_block": "by size and age, at each write; those of targets that are gone",
    "state": "a few names that the program knows",
}
_VACUUM_PAGES = 512  # 2 MB a step, some milliseconds of the writer's time


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What is remembered at most. `targets` are those that are configured now. None: of any age."""

    resolved_since: datetime
    targets: frozenset[str]
    changes_since: datetime | None = None
    read_since: datetime | None = None  # series and journals
    most_resolved: int = 20_000
    most_transitions: int = 500  # of one incident: a flapping one has some hundred a day
    most_changes: int = 2000  # of one target
    most_text_chars: int = 128_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How much was forgotten, and how many bytes the file became smaller."""

    incidents: int
    transitions: int
    texts: int
    series: int
    changes: int
    freed_bytes: int


def prune(database: Database, file: Database, keep: Keep) -> Pruned:
    """Forget what is beyond `keep` and give the space back, in steps that hold up no other writer.

    `file` is for what the memory does not hold.
    Raises StoreError; what was forgotten until then stays forgotten.
    """
    incidents, texts = Incidents(database), Texts(file)
    forgotten = incidents.prune(keep.resolved_since, most=keep.most_resolved)
    transitions = incidents.trim_histories(keep.most_transitions)
    dropped = texts.forget(keep.targets) + texts.shrink(keep.most_text_chars)
    history = Histories(file)
    history.forget(keep.targets)
    Samples(file).forget(keep.targets)
    series = history.prune(seen_since=keep.read_since)
    changes = history.prune_changes(since=keep.changes_since, most=keep.most_changes)
    return Pruned(
        incidents=forgotten,
        transitions=transitions,
        texts=dropped,
        series=series,
        changes=changes,
        freed_bytes=_give_back(file),
    )


def rows(file: Database) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table.name: file.read(
            lambda connection, table=table: connection.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[misc]
        )
        for table in METADATA.sorted_tables
    }


def rewrite(file: Database) -> None:
    """Write the whole file anew, without any free page: for a store that nobody else uses. Raises StoreError."""
    file.write(_rewrite)


def _give_back(file: Database) -> int:
    freed_pages = 0
    while (pages := file.write(_vacuum_step)) > 0:
        freed_pages += pages
    page_bytes: int = file.read(lambda connection: _pragma(connection, "page_size"))
    return freed_pages * page_bytes


def _vacuum_step(connection: Connection) -> int:
    """How many pages the file became smaller."""
    before = _pragma(connection, "page_count")
    # By the driver itself: SQLAlchemy takes no rows from a pragma, and it works only while it is asked for some.
    driver = connection.connection.driver_connection
    driver.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()  # type: ignore[union-attr]
    return before - _pragma(connection, "page_count")


def _rewrite(connection: Connection) -> None:
    connection.exec_driver_sql("COMMIT")  # it is no part of a transaction
    connection.exec_driver_sql("VACUUM")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
