"""A small shop whose plans are asked for: as they ran, in the form that people paste."""

import json
from typing import Any

from queries.plans.plan import Plan, PlanNode
from queries.plans.read import read
from tests.support.servers import Database

# What is committed, but not yet on disk, VACUUM does not mark as visible to all.
SHOP = """
SET synchronous_commit = on;
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, country text NOT NULL);
CREATE TABLE orders (
    id int PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, note text NOT NULL,
    total numeric NOT NULL, created_at timestamptz NOT NULL
);
INSERT INTO customers SELECT i, 'name ' || i, 'c' || i % 20 FROM generate_series(1, 2000) i;
INSERT INTO orders
SELECT i, 1 + i * 7 % 2000, CASE WHEN i % 500 = 0 THEN 'open' ELSE 'done' END, repeat('x', 200), i % 1000,
    '2026-01-01T00:00:00Z'::timestamptz + i * interval '1 minute'
FROM generate_series(1, 60000) i;
CREATE INDEX orders_created_at ON orders (created_at);
CREATE INDEX orders_customer_id ON orders (customer_id);
VACUUM ANALYZE customers;
VACUUM ANALYZE orders;
"""

RAN = "ANALYZE, BUFFERS, SETTINGS, FORMAT JSON"


def explain_text(database: Database, query: str, *, options: str = RAN, **settings: Any) -> str:
    """What EXPLAIN answers; `settings` are those of the session. One process and no JIT, unless they say other."""
    usual = {"max_parallel_workers_per_gather": 0, "jit": "off"}
    with database.connect() as connection:
        for name, value in (usual | settings).items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
        row = connection.execute(f"EXPLAIN ({options}) {query}".encode()).fetchone()
        assert row is not None
        return json.dumps(row[0])


def explain(database: Database, query: str, **given: Any) -> Plan:
    return read(explain_text(database, query, **given))


def only(plan: Plan, kind: str) -> PlanNode:
    """The one node of that type."""
    [found] = [node for node in plan.nodes() if node.type == kind]
    return found
