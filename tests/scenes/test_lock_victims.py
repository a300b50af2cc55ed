"""What a pile-up leaves behind: its victims' statements reach pg_stat_statements when it is over."""

from pathlib import Path

import psycopg

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.lock_waits]
interval = "1s"

[collectors.statements]
interval = "3s"

[rules.blocking_chain]
warning = "1s"
keep_firing_for = "1s"

[rules.slow_query]
for = "0s"
warning = "500ms"
clear = "100ms"
min_calls = 1
min_share = 0
"""


def readings(daemon: RunningDaemon) -> float:
    """When statements were last read, as the metrics say it."""
    return daemon.metric('pgvigil_collector_last_success_timestamp_seconds{collector="statements"') or 0.0


def test_the_victims_of_a_chain_are_not_slow_queries(own_server: ScratchServer, tmp_path: Path) -> None:
    """They took seconds, and that is explained. A statement that is slow by itself still is an incident."""
    dsn = own_server.dsn()
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
        admin.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
        admin.execute("INSERT INTO orders VALUES (1, 'new')")
    with running_daemon(tmp_path, CONFIG.format(dsn=dsn)) as daemon:
        poll(lambda: readings(daemon) > 0, 20, message="statements were read once")
        with (
            idle_in_transaction(dsn, "UPDATE orders SET status = 'paid' WHERE id = 1") as root,
            blocked_session(dsn, "UPDATE orders SET status = 'x' WHERE id = 1") as victim,
        ):
            daemon.wait_incident("blocking_chain", "firing")
            with psycopg.connect(dsn, autocommit=True) as other:
                other.execute("SELECT pg_sleep(1)")
            root.connection.rollback()
            poll(lambda: _finished(dsn, victim.pid), message="the victim's statement ended")
        ended = readings(daemon)
        daemon.wait_incident("blocking_chain", "resolved")
        poll(lambda: readings(daemon) > ended + 4, 30, message="statements were read again, twice")
        daemon.wait_incident("slow_query", "firing")
        (slow,) = daemon.incidents("slow_query")
        assert slow["subject"].endswith(f"/{_queryid(dsn, 'SELECT pg_sleep%')}")
        (chain,) = daemon.incidents("blocking_chain")
        assert "slow_query: " in str(chain["evidence"]["notes"])


def _queryid(dsn: str, text_like: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as observer:
        query = "SELECT queryid FROM pg_stat_statements WHERE query LIKE %s"
        (row,) = observer.execute(query, [text_like]).fetchall()
    return int(row[0])


def _finished(dsn: str, pid: int) -> bool:
    with psycopg.connect(dsn, autocommit=True) as observer:
        rows = observer.execute("SELECT state = 'idle' FROM pg_stat_activity WHERE pid = %s", [pid])
        return rows.fetchone() == (True,)
