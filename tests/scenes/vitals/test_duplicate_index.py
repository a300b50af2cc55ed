"""An index is made a second time, and dropped again."""

from pgvigil.model.level import Level
from tests.support.design_scenes import Make, fires_and_resolves
from tests.support.servers import Database


def test_a_second_index_of_the_same_kind_fires_and_resolves(vitals: Make, database: Database) -> None:
    database.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, customer int); CREATE INDEX first ON orders (customer)"
    )
    incident = fires_and_resolves(
        vitals({"duplicate_index": {}}),
        database,
        subject="index public.second",
        wrong="CREATE INDEX second ON orders (customer)",
    )
    assert incident.severity is Level.INFO
    assert incident.summary == "Index second on public.orders duplicates first (8192 bytes)"
