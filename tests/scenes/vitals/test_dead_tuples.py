"""A table of which a large part is dead, and those where it does not matter."""

from collections.abc import Callable

import pytest

from pgvigil.postgres.session import Session
from tests.support.servers import Database
from tests.support.vitals import Readings, Vitals

HOUR = 3600.0


def counted(readings: Readings) -> bool:
    return any(each.dead_rows == 5000 for each in readings["table_stats"].rows.tables)


@pytest.fixture
def shop(database: Database) -> Database:
    """Half of `orders` is dead, and autovacuum waits for far more."""
    database.execute(
        "CREATE TABLE orders (id int) WITH (autovacuum_enabled = off, autovacuum_vacuum_scale_factor = 5);"
        "INSERT INTO orders SELECT generate_series(1, 5000); ANALYZE orders"
    )
    database.execute("UPDATE orders SET id = id + 1; ANALYZE orders")
    return database


def test_a_table_half_dead_is_told_and_resolves_after_a_vacuum(
    vitals: Callable[..., Vitals], shop: Database, reader: Session
) -> None:
    seen = vitals({"dead_tuples": {"min_size": "100kB"}, "autovacuum_behind": {}})
    for _ in range(2):
        seen.look(reader, after_s=HOUR, until=counted)
    told = seen.firing["table public.orders"]
    assert told.summary.startswith("50 % of the rows of public.orders are dead: 5,000, about ")
    for step in told.steps:
        if step.sql:
            shop.execute(step.sql)
    for _ in range(2):
        seen.look(reader, after_s=HOUR, until=lambda readings: not counted(readings))
    assert seen.open == {}


def test_a_table_that_autovacuum_is_behind_on_is_one_message(
    vitals: Callable[..., Vitals], shop: Database, reader: Session
) -> None:
    shop.execute("ALTER TABLE orders SET (autovacuum_vacuum_scale_factor = 0)")
    seen = vitals(
        {
            "dead_tuples": {"min_size": "100kB", "for": "0s"},
            "autovacuum_behind": {"min_dead_rows": 1000, "for": "0s"},
        }
    )
    seen.look(reader, after_s=HOUR, until=counted)
    seen.look(reader, after_s=HOUR)
    assert list(seen.firing) == ["autovacuum"]
    assert any("are dead" in note for note in seen.firing["autovacuum"].evidence.notes)


def test_the_healthy_twin_is_silent(vitals: Callable[..., Vitals], shop: Database, reader: Session) -> None:
    """Half dead, and small: nobody needs to know."""
    assert shop
    seen = vitals({"dead_tuples": {}})
    for _ in range(3):
        seen.look(reader, after_s=HOUR, until=counted)
    assert seen.open == {}
