"""A longer index makes a shorter one superfluous."""

from pgvigil.model.level import Level
from tests.support.design_scenes import Make, fires_and_resolves
from tests.support.servers import Database


def test_the_beginning_of_a_longer_index_fires_and_resolves(vitals: Make, database: Database) -> None:
    database.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, customer int, at date);"
        "CREATE INDEX of_customer ON orders (customer)"
    )
    incident = fires_and_resolves(
        vitals({"redundant_index": {"min_size": "8kB"}}),
        database,
        subject="index public.of_customer",
        wrong="CREATE INDEX of_customer_by_day ON orders (customer, at)",
    )
    assert incident.severity is Level.INFO
    assert incident.summary == (
        "Index of_customer (8192 bytes) on public.orders is the beginning of of_customer_by_day"
    )
