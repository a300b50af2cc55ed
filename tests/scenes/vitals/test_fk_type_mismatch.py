"""A key is made larger, and the column that refers to it is forgotten."""

from pgvigil.model.level import Level
from tests.support.design_scenes import Make, fires_and_resolves
from tests.support.servers import Database


def test_a_key_that_outgrows_its_references_fires_and_resolves(vitals: Make, database: Database) -> None:
    database.execute(
        "CREATE TABLE customers (id int PRIMARY KEY);"
        "CREATE TABLE orders (id int PRIMARY KEY, customer int CONSTRAINT of_customer REFERENCES customers)"
    )
    incident = fires_and_resolves(
        vitals({"fk_type_mismatch": {}}),
        database,
        subject="foreign key public.orders.of_customer",
        wrong="ALTER TABLE customers ALTER id TYPE bigint",
        right="ALTER TABLE orders ALTER customer TYPE bigint",
    )
    assert incident.severity is Level.WARNING
    assert incident.summary == (
        "Foreign key of_customer of public.orders: customer integer refers to id bigint"
    )
