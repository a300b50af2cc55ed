"""Deleting much without holding up those who write little: one writer serves all, so a long delete is cut up."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, delete, select

from pgvigil.store.database import Database

BATCH = 200  # rows; with what goes with them some milliseconds


def delete_in_batches(
    database: Database,
    key: Column[int],
    where: ColumnElement[bool],
    keys: Sequence[int] | None = None,
) -> int:
    """Delete the rows that `where` holds for, of `keys` where those are given; returns how many.

    Each batch is a transaction of its own: a StoreError in the middle leaves what was deleted deleted.
    """
    if keys is None:
        return _until_none(database, key, where)
    batches = (keys[start : start + BATCH] for start in range(0, len(keys), BATCH))
    return sum(_delete(database, key, where & key.in_(batch)) for batch in batches)


def _until_none(database: Database, key: Column[int], where: ColumnElement[bool]) -> int:
    deleted = 0
    while True:
        found = _delete(database, key, key.in_(select(key).where(where).limit(BATCH)))
        deleted += found
        if found < BATCH:
            return deleted


def _delete(database: Database, key: Column[int], where: ColumnElement[bool]) -> int:
    statement: Any = delete(key.table).where(where)
    count: int = database.write(lambda connection: connection.execute(statement).rowcount)
    return count
