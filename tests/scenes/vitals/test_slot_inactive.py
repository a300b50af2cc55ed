"""slot_inactive: told loudly when it holds back much, as info when little, and not while somebody uses it."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.servers import Database
from tests.support.streaming import receiving
from tests.support.vitals import Vitals


@pytest.fixture
def slot(database: Database) -> Iterator[str]:
    """One that holds back a megabyte, named like the database."""
    database.execute("SELECT pg_create_physical_replication_slot(%s, true)", [database.name])
    database.execute("CREATE TABLE filler AS SELECT repeat('x', 900) FROM generate_series(1, 2000)")
    try:
        yield database.name
    finally:
        with psycopg.connect(database.server.dsn(), autocommit=True) as admin:
            query = (
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s"
            )
            admin.execute(query, [database.name])


def test_an_unused_slot_is_told_after_half_an_hour(
    reader: Session, slot: str, database: Database, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"slot_inactive": {"min_retained": "1MB"}})
    subject = f"slot {slot}"
    with receiving(database.server.dsn(), slot, slot=slot):
        scene.look(reader)
        scene.look(reader, after_s=3600)
        assert subject not in scene.open
    scene.look(reader, after_s=30)
    assert subject not in scene.firing
    scene.look(reader, after_s=1801)
    told = scene.firing[subject]
    assert told.severity is Level.WARNING
    assert told.summary.startswith(f"Slot {slot} is not used")
    assert told.summary.endswith(" MB of log")
    database.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    scene.look(reader, after_s=30)
    assert subject not in scene.open


def test_one_that_holds_back_little_is_info(
    reader: Session, slot: str, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"slot_inactive": {}})
    scene.look(reader)
    scene.look(reader, after_s=1801)
    assert scene.firing[f"slot {slot}"].severity is Level.INFO
