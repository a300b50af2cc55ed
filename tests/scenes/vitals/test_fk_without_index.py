"""A foreign key loses its index while many rows of the other table are deleted."""

from contextlib import closing

from pgvigil.model.level import Level
from tests.support import watching
from tests.support.design_scenes import Make, fires_and_resolves
from tests.support.polling import poll
from tests.support.servers import Database

SHOP = (
    "CREATE TABLE customers (id int PRIMARY KEY);"
    "CREATE TABLE orders (id int PRIMARY KEY, customer int CONSTRAINT of_customer REFERENCES customers);"
    "CREATE INDEX by_customer ON orders (customer);"
    "INSERT INTO customers SELECT generate_series(1, 3000);"
    "INSERT INTO orders SELECT n, n FROM generate_series(2001, 3000) AS n; VACUUM ANALYZE orders"
)


def test_deletes_that_read_a_table_each_fire_a_warning_and_resolve(vitals: Make, database: Database) -> None:
    for statement in SHOP.split(";"):
        database.execute(statement)
    database.execute("DELETE FROM customers WHERE id <= 2000")
    counted = "SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'customers'"
    poll(lambda: database.execute(counted) == [(2000,)], message="the deletes are counted")
    watched = vitals({"fk_without_index": {"min_size": "8kB", "warning_read_per_day": "10MB"}})
    incident = fires_and_resolves(
        watched, database, subject="foreign key public.orders.of_customer", wrong="DROP INDEX by_customer"
    )
    assert incident.severity is Level.WARNING
    assert incident.summary == "Foreign key of_customer of public.orders (40 kB) has no index on (customer)"
    assert "2000 were deleted in 1d" in incident.evidence.impact


def test_without_deletes_it_is_only_info(vitals: Make, database: Database) -> None:
    database.execute(
        "CREATE TABLE customers (id int PRIMARY KEY);"
        "CREATE TABLE orders (id int PRIMARY KEY, customer int CONSTRAINT of_customer REFERENCES customers)"
    )
    watched = vitals({"fk_without_index": {"min_size": "0B"}})
    with closing(watching.watch(database.dsn())) as session:
        watched.look(session)
        watched.look(session, after_s=3600.0)
    assert [incident.severity for incident in watched.firing.values()] == [Level.INFO]
