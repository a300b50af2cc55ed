"""A query that became slow because its index is gone, from the dropped index to the message and back."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.scratch.server import ScratchServer
from tests.support import oncall
from tests.support.daemons import running_daemon
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}

[collectors.statements]
interval = "2s"

[rules.slow_query]
warning = "5ms"
critical = "5s"
clear = "3ms"
for = "3s"
keep_firing_for = "2s"
{sink}"""
LOOKUP = "SELECT total FROM orders WHERE customer = %s"


@contextmanager
def customers_ask(dsn: str) -> Iterator[None]:
    """The workload: one look-up after another, until the end of the block."""
    stop = threading.Event()

    def ask() -> None:
        with closing(psycopg.connect(dsn, autocommit=True)) as session:
            while not stop.wait(0.01):
                session.execute(LOOKUP, ("c77",)).fetchall()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_dropped_index_is_a_slow_query_with_its_text_and_recovers_with_the_index(
    own_server: ScratchServer, slack: FakeSlack, tmp_path: Path
) -> None:
    with closing(psycopg.connect(own_server.dsn(), autocommit=True)) as admin:
        admin.execute("CREATE DATABASE shop")
    dsn = own_server.dsn("shop")
    with closing(psycopg.connect(dsn, autocommit=True)) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
        admin.execute(
            "CREATE TABLE orders AS SELECT 'c' || n % 100000 AS customer, n AS total FROM generate_series(1, 400000) n"
        )
        admin.execute("CREATE INDEX orders_customer ON orders (customer)")
        admin.execute("ANALYZE orders")
        config = CONFIG.format(dsn=json.dumps(own_server.dsn()), sink=oncall.sink(slack, tmp_path))
        with running_daemon(tmp_path, config, {"NO_PROXY": "127.0.0.1"}) as daemon, customers_ask(dsn):
            poll(lambda: daemon.metric('pgvigil_query_calls_total{database="shop"'), 30)
            assert not daemon.incidents("slow_query")
            admin.execute("DROP INDEX orders_customer")
            slow = daemon.wait_incident("slow_query", "firing", 40)
            assert slow["database"] == "shop"
            assert "SELECT total FROM orders WHERE customer = $1" in slow["evidence"]["blocks"][0]["text"]
            admin.execute("CREATE INDEX orders_customer ON orders (customer)")
            daemon.wait_incident("slow_query", "resolved", 40)
            mine = poll(lambda: [root for root in slack.roots() if "Resolved" in as_text(root)], 20)
            assert len(mine) == 1
