"""Small values by name, such as the id that a channel's name stands for."""

import json
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, delete, insert, select

from pgvigil.store.codec import json_of
from pgvigil.store.database import Database
from pgvigil.store.schema import METADATA, TEXT

STATE_TABLE = Table(
    "state",
    METADATA,
    Column("key", TEXT, primary_key=True),
    Column("value", Text, nullable=False),
)


class StateValues:
    """Key -> anything that JSON can say."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> Any:
        """The value, or None."""
        return self._database.read(lambda connection: read(connection, key))

    def put(self, key: str, value: Any) -> None:
        """Replace the value of `key`; None forgets it."""
        self._database.write(lambda connection: put(connection, key, value))


def read(connection: Connection, key: str) -> Any:
    query = select(STATE_TABLE.c.value).where(STATE_TABLE.c.key == key)
    text = connection.execute(query).scalar_one_or_none()
    return None if text is None else json.loads(text)


def put(connection: Connection, key: str, value: Any) -> None:
    connection.execute(delete(STATE_TABLE).where(STATE_TABLE.c.key == key))
    if value is not None:
        connection.execute(insert(STATE_TABLE).values(key=key, value=json_of(value)))
