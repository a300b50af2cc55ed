"""Silences, and when they first kept something quiet."""

from dataclasses import fields, replace
from datetime import datetime

from sqlalchemy import Boolean, Column, Connection, Integer, Table, delete, insert, or_, select, update

from pgvigil.model.silence import Silence
from pgvigil.store.database import Database
from pgvigil.store.schema import KEYS, LABELS, LEVEL, METADATA, STAMP, TEXT

MOST_KEPT = 500  # of those that are over

SILENCE = Table(
    "silence",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("match", LABELS, nullable=False),
    Column("author", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("created_at", STAMP, nullable=False),
    Column("ends_at", STAMP, nullable=False),
    Column("until_resolved", Boolean, nullable=False),
    Column("episodes", KEYS, nullable=False),
    Column("worst", LEVEL),
    Column("matched_at", STAMP),
    Column("expired_by", TEXT),
    Column("expired_at", STAMP),
    Column("mark", TEXT),
    sqlite_autoincrement=True,  # a name is never given to another silence: incidents are marked with it
)


class Silences:
    """Every call may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[Silence]:
        """All that are kept, the newest first."""
        query = select(SILENCE).order_by(SILENCE.c.id.desc())
        return self._database.read(
            lambda connection: [Silence(**row) for row in connection.execute(query).mappings()]
        )

    def add(self, silence: Silence) -> Silence:
        """Returns it with its id. Of those that are over the oldest are forgotten."""
        return self._database.write(lambda connection: _add(connection, silence))

    def expire(self, silence_id: int, by: str, at: datetime) -> None:
        self._change(silence_id, expired_by=by, expired_at=at)

    def release(self, silence_id: int) -> None:
        """The mark that it held for is gone: should the same be said again, that is another one."""
        self._change(silence_id, mark=None)

    def matched(self, silence_id: int, at: datetime) -> None:
        self._change(silence_id, matched_at=at)

    def _change(self, silence_id: int, **values: object) -> None:
        query = update(SILENCE).where(SILENCE.c.id == silence_id).values(**values)
        self._database.write(lambda connection: connection.execute(query))


def _add(connection: Connection, silence: Silence) -> Silence:
    over = or_(SILENCE.c.expired_by.is_not(None), SILENCE.c.ends_at <= silence.created_at)
    old = select(SILENCE.c.id).where(over).order_by(SILENCE.c.id.desc()).limit(-1).offset(MOST_KEPT)
    connection.execute(delete(SILENCE).where(SILENCE.c.id.in_(old)))
    values = {each.name: getattr(silence, each.name) for each in fields(silence) if each.name != "id"}
    key = connection.execute(insert(SILENCE).values(values)).inserted_primary_key
    return replace(silence, id=int(key[0])) if key else silence
