"""Designs that are as they should be: no check of the design has anything to say of them."""

from contextlib import closing

from alerts.rules._checks import RULES
from tests.support import watching
from tests.support.design_scenes import HOUR_S, Make
from tests.support.servers import Database

SHOP = """
CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, name text, deleted_at timestamptz);
CREATE INDEX ON customers (lower(name));
CREATE INDEX ON customers (id) WHERE deleted_at IS NOT NULL;
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY, customer_id bigint NOT NULL REFERENCES customers, placed_at timestamptz NOT NULL,
  state text NOT NULL, PRIMARY KEY (id, placed_at)) PARTITION BY RANGE (placed_at);
CREATE TABLE orders_2026 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE orders_2027 PARTITION OF orders FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
CREATE INDEX ON orders (customer_id, placed_at);
CREATE INDEX ON orders (placed_at DESC);
CREATE TABLE tags (id int PRIMARY KEY, label varchar(40) NOT NULL UNIQUE);
CREATE TABLE customer_tags (
  customer_id bigint REFERENCES customers, tag_id int REFERENCES tags, PRIMARY KEY (customer_id, tag_id));
CREATE INDEX ON customer_tags (tag_id);
CREATE TABLE sessions (id uuid PRIMARY KEY, customer_id bigint REFERENCES customers, data jsonb);
CREATE INDEX ON sessions (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX ON sessions USING gin (data);
CREATE UNLOGGED TABLE import (line text);
CREATE PUBLICATION everything FOR TABLE customers, orders, tags, customer_tags, sessions
"""
PGBENCH = """
CREATE TABLE pgbench_branches (bid int NOT NULL PRIMARY KEY, bbalance int, filler char(88));
CREATE TABLE pgbench_tellers (tid int NOT NULL PRIMARY KEY, bid int REFERENCES pgbench_branches, tbalance int);
CREATE TABLE pgbench_accounts (aid int NOT NULL PRIMARY KEY, bid int REFERENCES pgbench_branches, abalance int);
CREATE TABLE pgbench_history (
  tid int REFERENCES pgbench_tellers, bid int REFERENCES pgbench_branches, aid int REFERENCES pgbench_accounts, mtime timestamp)
"""
ALL = {name: {"for": "0s"} for name in RULES}


def test_a_well_designed_shop_is_silent(vitals: Make, database: Database) -> None:
    database.execute(SHOP)
    watched = vitals(ALL)
    with closing(watching.watch(database.dsn())) as session:
        watched.look(session)
        watched.look(session, after_s=HOUR_S)
    assert [incident.summary for incident in watched.open.values()] == []


def test_of_pgbench_only_what_is_true_is_said(vitals: Make, database: Database) -> None:
    """Its history has no key, and that is no more than info."""
    database.execute(PGBENCH)
    watched = vitals(ALL)
    with closing(watching.watch(database.dsn())) as session:
        watched.look(session)
        watched.look(session, after_s=HOUR_S)
    assert watched.open.keys() == {"table public.pgbench_history"}
    assert watched.loud == []
