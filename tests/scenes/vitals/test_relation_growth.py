"""A table that grew in a day, today's partition, and a table that was loaded anew."""

from collections.abc import Callable

import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.servers import Database
from tests.support.vitals import Vitals

HOUR = 3600.0


@pytest.fixture
def seen(vitals: Callable[..., Vitals]) -> Vitals:
    """Megabytes stand for gigabytes."""
    return vitals({"relation_growth": {"warning": "50MB", "info": "5MB"}})


def grow(database: Database, table: str, megabytes: int) -> None:
    database.execute(f"CREATE UNLOGGED TABLE IF NOT EXISTS {table} (t text)")
    database.execute(f"ALTER TABLE {table} ALTER t SET STORAGE EXTERNAL")
    database.execute(f"INSERT INTO {table} SELECT repeat('x', 1000000) FROM generate_series(1, {megabytes})")


def test_growth_is_told_by_its_size_and_resolves(seen: Vitals, database: Database, reader: Session) -> None:
    grow(database, "load", 10)
    seen.look(reader)
    grow(database, "load", 10)
    seen.look(reader, after_s=24 * HOUR)
    told = seen.firing["table public.load"]
    assert told.severity is Level.INFO
    assert "in a day, to" in told.summary
    grow(database, "load", 100)
    seen.look(reader, after_s=HOUR)
    assert seen.firing["table public.load"].severity is Level.WARNING
    seen.look(reader, after_s=24 * HOUR)
    assert seen.open == {}


def test_what_is_young_steady_or_loaded_anew_is_no_news(
    seen: Vitals, database: Database, reader: Session
) -> None:
    grow(database, "steady", 100)
    grow(database, "anew", 10)
    seen.look(reader)
    grow(database, "today", 80)
    grow(database, "steady", 8)
    database.execute("TRUNCATE anew")
    grow(database, "anew", 80)
    seen.look(reader, after_s=24 * HOUR)
    assert seen.open == {}


def test_the_watched_table_keeps_its_incident_while_it_is_locked(
    seen: Vitals, database: Database, reader: Session
) -> None:
    """That it cannot be measured for a moment is no recovery."""
    grow(database, "load", 10)
    seen.look(reader)
    grow(database, "load", 10)
    seen.look(reader, after_s=24 * HOUR)
    with database.connect() as connection, connection.transaction():
        connection.execute("LOCK load")
        seen.look(reader, after_s=60)
    assert seen.open["table public.load"].state.value == "unknown"
