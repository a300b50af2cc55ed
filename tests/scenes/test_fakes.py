"""The fake servers of the benchmarks answer as the real one did from which they were recorded."""

from pathlib import Path

import psycopg

from tests.support.daemons import running_daemon
from tests.support.fakes import fakes_of
from tests.support.polling import poll
from tests.support.servers import StartServer

CONFIG = """
[collectors.statements]
interval = "1s"
[rules.target_down]
for = "1s"
[sinks.terminal]
kind = "console"
[[targets]]
name = "fake"
dsn = "host=127.0.0.1 port={port} dbname=postgres user=pgvigil"
"""


def test_a_fake_is_read_like_a_server_and_dies_like_one(start_server: StartServer, tmp_path: Path) -> None:
    """Every collector succeeds, counters advance without a restart being seen; it is down when it is dead."""
    server = start_server()
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")
        admin.execute("CREATE EXTENSION pg_stat_statements")
    with fakes_of(server.port) as fakes:
        fakes.record("postgres", "pgvigil")
        server.stop()
        [port] = fakes.serve(1)
        with running_daemon(tmp_path, CONFIG.format(port=port)) as daemon:
            other = 'pgvigil_query_calls_total{database="",queryid="other",target="fake"}'
            poll(lambda: daemon.target("fake")["up"], 10)
            poll(lambda: all(one["last_success_at"] for one in daemon.target("fake")["collectors"]), 20)
            poll(lambda: daemon.metric("pgvigil_query_calls_total{") is not None, 10)
            before = daemon.metric(other) or 0.0
            poll(lambda: (daemon.metric(other) or 0.0) > before, 10, message="its counters advance")
            assert daemon.metric("pgvigil_collector_errors_total{") is None
            fakes.become("dead", [port])
            daemon.wait_incident("target_down", "firing")
            fakes.become("healthy", [port])
            daemon.wait_incident("target_down", "resolved")
        assert fakes.asked()[port]["statements"] > 2
