"""A table comes without a key, and gets one."""

from pgvigil.model.level import Level
from tests.support.design_scenes import Make, fires_and_resolves
from tests.support.servers import Database


def test_a_table_without_a_key_fires_and_resolves(vitals: Make, database: Database) -> None:
    database.execute("CREATE TABLE customers (id int PRIMARY KEY)")
    incident = fires_and_resolves(
        vitals({"table_without_primary_key": {}}),
        database,
        subject="table public.orders",
        wrong="CREATE TABLE orders (id int NOT NULL, customer int)",
        right="ALTER TABLE orders ADD PRIMARY KEY (id)",
    )
    assert incident.severity is Level.INFO
    assert incident.summary == "Table public.orders (0 bytes) has no primary key"
