"""Markers: what was done, and when."""

from dataclasses import asdict

from sqlalchemy import Column, Connection, Index, Table, delete, insert, select

from pgvigil.model.marker import Marker
from pgvigil.store.database import Database
from pgvigil.store.schema import LABELS, METADATA, STAMP, TEXT

MOST_KEPT = 2000  # a pipeline that marks in a loop must not fill the disk

MARKER = Table(
    "marker",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("at", STAMP, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("author", TEXT, nullable=False),
    Column("match", LABELS, nullable=False),
    Index("marker_at", "at"),
)


class Markers:
    """Every call may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[Marker]:
        """All that are kept, the oldest first."""
        query = select(MARKER).order_by(MARKER.c.at, MARKER.c.id)
        return self._database.read(
            lambda connection: [Marker(**row) for row in connection.execute(query).mappings()]
        )

    def add(self, marker: Marker) -> None:
        """One whose id is not there yet. The newest MOST_KEPT stay."""
        self._database.write(lambda connection: _add(connection, marker))


def _add(connection: Connection, marker: Marker) -> None:
    connection.execute(insert(MARKER).values(asdict(marker)))
    old = select(MARKER.c.id).order_by(MARKER.c.at.desc(), MARKER.c.id.desc()).limit(-1).offset(MOST_KEPT)
    connection.execute(delete(MARKER).where(MARKER.c.id.in_(old)))
