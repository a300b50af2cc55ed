"""A large server: 50,000 statements, 2,000 sessions, 200 of them behind one. The figures are printed (`-s`)."""

import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import pq

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.scratch.server import ScratchServer
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.reporting import not_run
from tests.support.servers import StartServer

STATEMENTS = 50_000
SESSIONS = 2_000
LEAST_SESSIONS = 1_000  # where the machine cannot have more
WAITERS = 200
COLUMNS = 40

SETTINGS = {
    "max_connections": str(SESSIONS + 100),
    "pg_stat_statements.max": str(STATEMENTS + 10_000),
    "pg_stat_statements.track": "all",
    "shared_buffers": "32MB",
}

CONFIG = """
[[targets]]
name = "big"
dsn = "{dsn}"

[collectors.statements]
interval = "10s"

[rules.blocking_chain]
warning = "10s"
critical = "1h"
{sink}"""

# Three columns of forty, in any order: each order is a statement of its own.
FILL = """
DO $$
DECLARE a int; b int; c int; made int := 0;
BEGIN
  FOR a IN {first}..{last} LOOP FOR b IN 1..{columns} LOOP FOR c IN 1..{columns} LOOP
    EXECUTE format('SELECT c%s, c%s, c%s FROM wide WHERE false', a, b, c);
    made := made + 1;
    IF made >= {most} THEN RETURN; END IF;
  END LOOP; END LOOP; END LOOP;
END $$
"""


def fill_statements(server: ScratchServer) -> int:
    """So many statements in pg_stat_statements, made by two sessions; how many there are."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
        columns = ", ".join(f"c{number} int" for number in range(1, COLUMNS + 1))
        admin.execute(f"CREATE TABLE wide ({columns})")
        admin.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
        admin.execute("INSERT INTO orders VALUES (1, 'new')")

    def run(first: int) -> None:
        last = first + COLUMNS // 2 - 1
        with psycopg.connect(server.dsn(), autocommit=True) as session:
            session.execute(FILL.format(first=first, last=last, columns=COLUMNS, most=STATEMENTS // 2 + 50))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, (1, COLUMNS // 2 + 1)))
    with psycopg.connect(server.dsn()) as admin:
        (count,) = admin.execute("SELECT count(*) FROM pg_stat_statements(false)").fetchone() or (0,)
    assert isinstance(count, int)
    return count


@contextmanager
def sessions(server: ScratchServer, most: int) -> Iterator[list[pq.PGconn]]:
    """Idle sessions, as many of `most` as the machine can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    dsn = f"{server.dsn()} application_name=pool".encode()
    made: list[pq.PGconn] = []
    try:
        with ThreadPoolExecutor(4) as pool:
            made += pool.map(lambda _number: pq.PGconn.connect(dsn), range(most))
        connected = [one for one in made if one.status == pq.ConnStatus.OK]
        if len(connected) < min(most, LEAST_SESSIONS):
            not_run(f"only {len(connected):,} of {most:,} connections: {made[-1].error_message.decode()}")
        yield connected
    finally:
        for one in made:
            one.finish()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def missed_ticks(daemon: RunningDaemon) -> dict[str, int]:
    return {one["collector"]: one["missed_ticks"] for one in daemon.target("big")["collectors"]}


def figures(daemon: RunningDaemon, began_s: float) -> str:
    """How long each collector took, and what the daemon itself needed."""
    lines = [
        f"    {line.partition(' ')[0]} {float(line.rpartition(' ')[2]) * 1000:.1f} ms"
        for line in daemon.get("/metrics")[1].splitlines()
        if line.startswith("pgvigil_collector_duration_seconds{")
    ]
    cpu_s = daemon.metric("pgvigil_process_cpu_seconds_total") or 0.0
    rss = daemon.metric("pgvigil_process_resident_memory_bytes") or 0.0
    took_s = time.monotonic() - began_s
    return "\n".join([*lines, f"    daemon: {cpu_s:.1f} s CPU in {took_s:.0f} s, {rss / 2**20:.0f} MB RSS"])


def test_a_large_server_is_read_on_time_and_its_pile_up_is_one_message(
    start_server: StartServer, slack: FakeSlack, tmp_path: Path
) -> None:
    """No tick is missed; the message stands within Slack's limits in its full form."""
    server = start_server(settings=SETTINGS)
    began_s = time.monotonic()
    count = fill_statements(server)
    print(f"\n    {count:,} statements after {time.monotonic() - began_s:.1f} s")
    assert count >= STATEMENTS
    config = CONFIG.format(dsn=server.dsn(), sink=oncall.sink(slack, tmp_path))
    with sessions(server, SESSIONS - WAITERS) as idle, sessions(server, WAITERS) as waiters:
        print(f"    {len(idle) + len(waiters):,} sessions after {time.monotonic() - began_s:.1f} s")
        with idle_in_transaction(server.dsn(), "UPDATE orders SET status = 'paid' WHERE id = 1"):
            for one in waiters:
                one.send_query(b"UPDATE orders SET status = 'x' WHERE id = 1")
            began_s = time.monotonic()
            with running_daemon(tmp_path, config, {"NO_PROXY": "127.0.0.1"}) as daemon:
                poll(lambda: daemon.metric('pgvigil_blocked_sessions{target="big"}') == WAITERS, 30)
                poll(lambda: len(slack.roots()) == 1, 40, message="the pile-up is told")
                poll(lambda: len(daemon.get("/api/v1/statements")[1]) > 1000, 40, message="two readings")
                print(figures(daemon, began_s))
                (chain,) = daemon.incidents("blocking_chain", "firing")
                assert chain["evidence"]["figures"]["Waiters"] == str(WAITERS)
                assert daemon.incidents("connection_saturation")
                assert set(missed_ticks(daemon).values()) == {0}
                assert not daemon.incidents("collector_stale")
                assert daemon.get("/healthz") == (200, "ok\n")
        for one in waiters:
            one.finish()
    told = [as_text(root) for root in slack.roots() if "Blocking chain" in as_text(root)]
    print(told[0])
    assert len(told) == 1
    assert f"{WAITERS} sessions blocked" in told[0]
    assert {call.outcome for call in slack.calls if call.method.startswith("chat.")} == {"ok"}
