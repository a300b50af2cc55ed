"""What is remembered of readings. Only the file has it: the targets' memories have the same, and more recent.

All that is written may be written again: a disk that hangs may take what its caller has given up.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from pgvigil.model.change import Change
from pgvigil.model.history import (
    History,
    KeptChange,
    KeptJournal,
    KeptSeries,
    Place,
    SeriesName,
    Unsaved,
)
from pgvigil.store.batches import delete_in_batches
from pgvigil.store.database import Database
from pgvigil.store.schema import KNOWN, METADATA, STAMP, TEXT

CLUSTER = Table(
    "cluster",
    METADATA,
    Column("target", TEXT, primary_key=True),
    Column("identifier", BigInteger, nullable=False),
)
SERIES = Table(
    "series",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("target", TEXT, nullable=False),
    Column("feed", TEXT, nullable=False),
    Column("database", TEXT, nullable=False),  # "": about the server; no database is named so
    Column("series", TEXT, nullable=False),
    Column("key", TEXT, nullable=False),
    Column("epoch", TEXT, nullable=False),
    Column("points", LargeBinary, nullable=False),
    Column("seen_at", STAMP, nullable=False),
    UniqueConstraint("target", "feed", "database", "series", "key", name="series_name"),
)
JOURNAL = Table(
    "journal",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("target", TEXT, nullable=False),
    Column("feed", TEXT, nullable=False),
    Column("database", TEXT, nullable=False),
    Column("known", KNOWN, nullable=False),
    Column("seen_at", STAMP, nullable=False),
    UniqueConstraint("target", "feed", "database", name="journal_place"),
)
CHANGE = Table(
    "journal_change",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("target", TEXT, nullable=False),
    Column("feed", TEXT, nullable=False),
    Column("database", TEXT, nullable=False),
    Column("key", TEXT, nullable=False),
    Column("old", TEXT),
    Column("new", TEXT),
    Column("after", STAMP, nullable=False),
    Column("at", STAMP, nullable=False),
    UniqueConstraint("target", "feed", "database", "key", "at", name="journal_change_key"),
)
_TABLES = (SERIES, JOURNAL, CHANGE)
_KEYS_PER_QUERY = 200


class Histories:
    """By target."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, target: str) -> History:
        """All of it, changes the oldest first; nothing where nothing is known."""
        return self._database.read(lambda connection: _load(connection, target))

    def save(self, unsaved: Mapping[str, Unsaved]) -> None:
        """All of it or none, by target."""
        self._database.write(lambda connection: _save(connection, unsaved))

    def forget(self, targets: Collection[str]) -> None:
        """Drop what is known of every target that is not among `targets`."""
        for table in _TABLES:
            delete_in_batches(self._database, table.c.id, table.c.target.not_in(targets))
        clusters = delete(CLUSTER).where(CLUSTER.c.target.not_in(targets))
        self._database.write(lambda connection: connection.execute(clusters))

    def prune(self, *, seen_since: datetime | None) -> int:
        """Drop series and journals that were last read before; returns how many."""
        if seen_since is None:
            return 0
        return sum(
            delete_in_batches(self._database, table.c.id, table.c.seen_at < seen_since)
            for table in (SERIES, JOURNAL)
        )

    def prune_changes(self, *, since: datetime | None, most: int) -> int:
        """Drop changes from before `since`, and of one target those beyond the newest `most`; returns how many."""
        old = 0
        if since is not None:
            old = delete_in_batches(self._database, CHANGE.c.id, CHANGE.c.at < since)
        beyond = self._database.read(lambda connection: list(connection.scalars(_beyond(most))))
        return old + delete_in_batches(self._database, CHANGE.c.id, CHANGE.c.id.in_(beyond), beyond)


def _beyond(most: int) -> Any:
    newest_first = func.row_number().over(
        partition_by=CHANGE.c.target, order_by=(CHANGE.c.at.desc(), CHANGE.c.id.desc())
    )
    numbered = select(CHANGE.c.id, newest_first.label("number")).subquery()
    return select(numbered.c.id).where(numbered.c.number > most)


def _place(row: Any) -> Place:
    return Place(row.feed, row.database or None)


def _load(connection: Connection, target: str) -> History:
    def rows(table: Table) -> Iterable[Any]:
        return connection.execute(select(table).where(table.c.target == target).order_by(table.c.id))

    return History(
        cluster=connection.scalar(select(CLUSTER.c.identifier).where(CLUSTER.c.target == target)),
        series=[
            KeptSeries(SeriesName(_place(row), row.series, row.key), row.epoch, row.points, row.seen_at)
            for row in rows(SERIES)
        ],
        journals=[KeptJournal(_place(row), row.known, row.seen_at) for row in rows(JOURNAL)],
        changes=[KeptChange(_place(row), _change(row)) for row in rows(CHANGE)],
    )


def _change(row: Any) -> Change:
    return Change(
        database=row.database or None, key=row.key, old=row.old, new=row.new, after=row.after, at=row.at
    )


# --- writing ------------------------------------------------------------------------------------------------


def _save(connection: Connection, unsaved: Mapping[str, Unsaved]) -> None:
    for target, one in unsaved.items():
        _drop(connection, target, one)
        _note_cluster(connection, target, one.cluster)
        for place, seen_at in one.seen.items():
            connection.execute(update(JOURNAL).where(_of(JOURNAL, target, place)).values(seen_at=seen_at))
    _put(connection, SERIES, ("epoch", "points", "seen_at"), _series_rows(unsaved))
    _put(connection, JOURNAL, ("known", "seen_at"), _journal_rows(unsaved))
    _put(connection, CHANGE, (), _change_rows(unsaved))


def _drop(connection: Connection, target: str, one: Unsaved) -> None:
    if one.anew:
        for table in (*_TABLES, CLUSTER):
            connection.execute(delete(table).where(table.c.target == target))
        return
    for table in _TABLES:
        if one.gone_databases:
            theirs = (table.c.target == target, table.c.database.in_(one.gone_databases))
            connection.execute(delete(table).where(*theirs))
    for table in (SERIES, JOURNAL):
        if one.gone_feeds:
            connection.execute(
                delete(table).where(table.c.target == target, table.c.feed.in_(one.gone_feeds))
            )
    name = tuple_(SERIES.c.feed, SERIES.c.database, SERIES.c.series, SERIES.c.key)
    gone = [(each.place.feed, each.place.database or "", each.series, each.key) for each in one.gone_series]
    for start in range(0, len(gone), _KEYS_PER_QUERY):
        some = name.in_(gone[start : start + _KEYS_PER_QUERY])
        connection.execute(delete(SERIES).where(SERIES.c.target == target, some))


def _note_cluster(connection: Connection, target: str, cluster: int | None) -> None:
    if cluster is not None:
        values = {"target": target, "identifier": cluster}
        connection.execute(insert(CLUSTER).values(values).on_conflict_do_update(set_=values))


def _of(table: Table, target: str, place: Place) -> ColumnElement[bool]:
    columns = table.c
    return (
        (columns.target == target)
        & (columns.feed == place.feed)
        & (columns.database == (place.database or ""))
    )


def _put(connection: Connection, table: Table, changed: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Insert `rows`; of those that are there already, take over what is `changed`."""
    if not rows:
        return
    statement = insert(table)
    if changed:
        (name,) = (each for each in table.constraints if isinstance(each, UniqueConstraint))
        new = {column: statement.excluded[column] for column in changed}
        statement = statement.on_conflict_do_update(index_elements=list(name.columns), set_=new)
    else:
        statement = statement.on_conflict_do_nothing()
    connection.execute(statement, rows)


def _located(target: str, place: Place) -> dict[str, Any]:
    return {"target": target, "feed": place.feed, "database": place.database or ""}


def _series_rows(unsaved: Mapping[str, Unsaved]) -> list[dict[str, Any]]:
    return [
        {
            **_located(target, each.name.place),
            "series": each.name.series,
            "key": each.name.key,
            "epoch": each.epoch,
            "points": each.points,
            "seen_at": each.seen_at,
        }
        for target, one in unsaved.items()
        for each in one.series
    ]


def _journal_rows(unsaved: Mapping[str, Unsaved]) -> list[dict[str, Any]]:
    return [
        {**_located(target, each.place), "known": each.known, "seen_at": each.seen_at}
        for target, one in unsaved.items()
        for each in one.journals
    ]


def _change_rows(unsaved: Mapping[str, Unsaved]) -> list[dict[str, Any]]:
    return [
        {
            **_located(target, each.place),
            "key": each.change.key,
            "old": each.change.old,
            "new": each.change.new,
            "after": each.change.after,
            "at": each.change.at,
        }
        for target, one in unsaved.items()
        for each in one.changes
    ]
