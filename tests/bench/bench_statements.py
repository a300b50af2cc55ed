"""What one poll of 10,000 statements costs: us in CPU, the server in time.

    python -m tests.bench.bench_statements [MAJOR]

Starts a server of its own. Everything is a ratio to `count(*)` over the same function in the same run, so a
slow or a busy machine changes the figures and hardly the ratios. Exits with 1 when a figure does not hold.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice

import psycopg

from alerts.rules.slow_query import RULE, SlowQueryParams
from collectors.statements import COLLECTOR, ENTRIES
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer
from queries.delta import StatementDeltas
from queries.topk import StickyTop
from queries.tracked import Tracked
from tests.bench.figures import Figure, hold
from tests.bench.wide import ENTRIES_WANTED, SETTINGS, fill, run, texts
from tests.support import statements
from tests.support.readings import context

POLLS = 40
COUNT = "SELECT /* bench:count */ count(*) FROM pg_stat_statements(false)"


class Poll:
    """The way from the query to findings and series, as the daemon goes it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._deltas = StatementDeltas()
        self._top = StickyTop()
        self._tracked = Tracked()
        self._at_s = 0.0
        self._context = context(database_names={}, facts=session.facts)

    def __call__(self) -> tuple[float, float]:
        """CPU seconds of this thread, and of the tracked statements alone; waiting for the server is none."""
        self._at_s += 60
        began = time.thread_time()
        shot = statements.snapshot(COLLECTOR.read(self._session), self._at_s)
        delta = self._deltas.take(shot)
        RULE.evaluate(delta, SlowQueryParams(), self._context)
        self._top.take(delta)
        _ = self._top.series
        ended = time.thread_time()
        self._tracked.take(delta)
        return ended - began, time.thread_time() - ended


def measure(server: ScratchServer, workload: Callable[[int], Iterator[str]]) -> tuple[float, float, int]:
    """Median CPU seconds of a poll and of its tracked statements, and how many entries there were; `count(*)`
    runs beside each poll.
    """
    session = connect(Dsn.parse(server.dsn()))
    poll = Poll(session)
    spent = []
    with psycopg.connect(server.dsn(), autocommit=True, options="-c work_mem=16MB -c jit=off") as other:
        for number in range(POLLS):
            run(other, workload(number))
            spent.append(poll())
            (entries,) = other.execute(COUNT).fetchone() or (0,)
    session.close()
    poll_s, tracked_s = map(statistics.median, zip(*spent[2:], strict=True))
    return poll_s, tracked_s, int(entries)


def server_side(dsn: str) -> tuple[float, float, float]:
    """Mean time (ms) of our query and of `count(*)`, and the temporary blocks that ours has used."""
    figures = (
        "SELECT mean_exec_time, temp_blks_read + temp_blks_written FROM pg_stat_statements"
        " WHERE query LIKE %s AND query NOT LIKE 'SELECT mean%%'"
    )
    with psycopg.connect(dsn) as connection:
        ((ours_ms, temp_blocks),) = connection.execute(
            figures, [f"SELECT /* pgvigil:{ENTRIES.name} */%"]
        ).fetchall()
        ((count_ms, _),) = connection.execute(figures, ["%bench:count%"]).fetchall()
    return float(ours_ms), float(count_ms), float(temp_blocks)


WORKLOADS: dict[str, Callable[[int], Iterator[str]]] = {
    "200 ran": lambda _number: islice(texts(), 200),
    "one is new": lambda number: islice(
        texts(), *((0, 200) if number % 2 else (ENTRIES_WANTED + number, ENTRIES_WANTED + number + 1))
    ),
    "all ran": lambda _number: islice(texts(), ENTRIES_WANTED),
}


def figures(wanted: str = "") -> list[Figure]:
    chosen = next(each for each in binaries.available() if wanted in ("", str(each.major)))
    print(f"PostgreSQL {chosen.version}, {ENTRIES_WANTED:,} entries, {POLLS} polls each")
    found = [Figure("columns of the statements query", len(ENTRIES.columns), 18)]
    for name, workload in WORKLOADS.items():
        with ScratchServer.start(chosen, settings=SETTINGS) as server:
            fill(server.dsn())
            cpu_s, tracked_s, entries = measure(server, workload)
            ours_ms, count_ms, temp_blocks = server_side(server.dsn())
        print(
            f"\n{name}: {entries:,} entries; CPU {cpu_s * 1000:.2f} ms a poll, {tracked_s * 1000:.2f} ms tracked; server {ours_ms:.2f} ms, count(*) {count_ms:.2f} ms"
        )
        found += (
            Figure(
                f"10,000 statements, {name}: our CPU / server's count(*)", cpu_s * 1000 / count_ms, 0.5, "x"
            ),
            Figure(
                f"10,000 statements, {name}: the tracked ones / count(*)",
                tracked_s * 1000 / count_ms,
                0.25,
                "x",
            ),
            Figure(f"10,000 statements, {name}: temporary blocks", temp_blocks, 0),
            Figure(f"10,000 statements, {name}: server's query / count(*)", ours_ms / count_ms, 2.5, "x"),
        )
    return found


if __name__ == "__main__":
    sys.exit(hold(figures(*sys.argv[1:2])))
