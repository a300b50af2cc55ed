"""An index that most entries have left, until it is rebuilt; and healthy ones."""

from collections.abc import Callable

import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.counting import vacuum_analyze
from tests.support.servers import Database
from tests.support.vitals import Vitals

HOUR = 3600.0
SMALL = {"min_size": "1MB", "info_size": "100kB"}


@pytest.fixture
def shop(database: Database) -> Database:
    database.execute(
        "CREATE TABLE orders (id bigint PRIMARY KEY, key uuid UNIQUE) WITH (autovacuum_enabled = off);"
        "INSERT INTO orders SELECT i, md5(i::text)::uuid FROM generate_series(1, 60000) AS i"
    )
    vacuum_analyze(database, "orders")
    return database


def test_an_index_that_its_entries_have_left_is_told_until_the_step_is_done(
    vitals: Callable[..., Vitals], shop: Database, reader: Session
) -> None:
    seen = vitals({"index_bloat": SMALL})
    shop.execute("DELETE FROM orders WHERE id % 10 <> 0")
    vacuum_analyze(shop, "orders")
    shop.execute("CREATE EXTENSION pgstattuple")  # the first step measures with it
    seen.look(reader)
    told = seen.firing["index public.orders_pkey"]
    assert told.severity is Level.WARNING
    assert "is not needed by its rows" in told.summary
    for incident in seen.firing.values():
        for step in incident.steps:
            assert step.sql is not None
            shop.execute(step.sql)
    seen.look(reader, after_s=HOUR)
    assert seen.open == {}


def test_the_healthy_twin_is_silent(vitals: Callable[..., Vitals], shop: Database, reader: Session) -> None:
    """Filled in order, and filled at random: two thirds full, as B-trees are."""
    assert shop
    seen = vitals({"index_bloat": SMALL})
    seen.look(reader)
    assert seen.open == {}
