"""A query that becomes slow because its index is dropped, and is quick again once it is back."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import running_daemon
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}

[collectors.statements]
interval = "2s"

[rules.slow_query]
warning = "4ms"
clear = "2ms"
for = "0s"
keep_firing_for = "2s"
"""


@contextlib.contextmanager
def baskets(dsn: str) -> Iterator[None]:
    """A client that reads one basket after another until the end of the block."""
    over = threading.Event()

    def read() -> None:
        with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as client:
            while not over.wait(0.01):
                client.execute("SELECT sku FROM order_items WHERE order_id = %s", [7])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        over.set()
        reader.join(10)


def test_a_query_that_lost_its_index_is_an_incident_until_it_has_it_again(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """Of the database that the query runs in, with its text, its figures, and a plan that shows the scan."""
    shop = own_server.dsn("shop")
    with psycopg.connect(own_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
        admin.execute("CREATE DATABASE shop")
    with psycopg.connect(shop, autocommit=True) as admin:
        admin.execute("SET max_parallel_workers_per_gather = 0")
        admin.execute(
            "CREATE TABLE order_items AS"
            " SELECT n / 5 AS order_id, md5(n::text) AS sku FROM generate_series(1, 300000) AS n"
        )
        admin.execute("CREATE INDEX basket ON order_items (order_id)")
        admin.execute("ANALYZE order_items")
        with (
            running_daemon(tmp_path, CONFIG.format(dsn=json.dumps(own_server.dsn()))) as daemon,
            baskets(shop),
        ):
            counted = 'pgvigil_query_calls_total{database="shop"'
            poll(lambda: daemon.metric(counted), 20, message="the statement is counted while it is quick")
            assert daemon.incidents("slow_query", "firing") == []
            admin.execute("DROP INDEX basket")

            def with_text() -> object:
                return [i for i in daemon.incidents("slow_query", "firing") if "order_items" in i["summary"]]

            (slow,) = poll(with_text, 40, message="slow, and known by its text")
            assert slow["database"] == "shop"
            assert slow["evidence"]["blocks"][0]["text"] == "SELECT sku FROM order_items WHERE order_id = $1"
            assert "Blocks a call" in slow["evidence"]["figures"]
            plan = next(step["sql"] for step in slow["actions"] if (step["sql"] or "").startswith("EXPLAIN"))
            assert "Seq Scan" in str(admin.execute(plan).fetchall())
            admin.execute("CREATE INDEX basket ON order_items (order_id)")

            def resolved() -> object:
                return [i for i in daemon.incidents("slow_query", "resolved") if i["id"] == slow["id"]]

            poll(resolved, 40, message="quick again")
