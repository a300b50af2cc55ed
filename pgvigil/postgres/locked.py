"""Relations that DDL holds or waits for: what needs a lock on them is not asked for meanwhile."""

from typing import NamedTuple

from pgvigil.postgres.query import Column, Query


class Locked(NamedTuple):
    """Relations not to be touched now, and those that some DDL is working on concurrently."""

    exclusive: list[int]
    concurrent: list[int]


LOCKED = Query(
    name="locked_relations",
    row=Locked,
    columns=(
        Column(
            "exclusive",
            "coalesce(array_agg(DISTINCT relation) FILTER (WHERE mode = 'AccessExclusiveLock'), '{}')",
            "Under, or waited for with, ACCESS EXCLUSIVE.",
        ),
        Column(
            "concurrent",
            "coalesce(array_agg(DISTINCT relation)"
            " FILTER (WHERE granted AND mode = 'ShareUpdateExclusiveLock'), '{}')",
            "Under SHARE UPDATE EXCLUSIVE, as a concurrent build holds it.",
        ),
    ),
    source="""
    FROM pg_locks
    WHERE locktype = 'relation'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """,
)
