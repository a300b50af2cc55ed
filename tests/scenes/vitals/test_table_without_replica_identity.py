"""A publication makes UPDATE fail, and the command of the message mends it."""

import psycopg
import pytest

from pgvigil.model.level import Level
from tests.support.design_scenes import Make, fires_and_resolves
from tests.support.servers import Database


def test_a_published_table_without_identity_fires_and_resolves(vitals: Make, database: Database) -> None:
    database.execute("CREATE TABLE orders (id int, paid bool); INSERT INTO orders VALUES (1, false)")
    incident = fires_and_resolves(
        vitals({"table_without_replica_identity": {}}),
        database,
        subject="table public.orders",
        wrong="CREATE PUBLICATION everything FOR TABLE orders",
    )
    assert incident.severity is Level.WARNING
    assert incident.summary == (
        "UPDATE and DELETE fail on public.orders: it is published by everything and has no replica identity"
    )
    database.execute("UPDATE orders SET paid = true")
    database.execute("ALTER TABLE orders REPLICA IDENTITY NOTHING")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        database.execute("UPDATE orders SET paid = true")
