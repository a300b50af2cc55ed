"""Records what a real server's statements did, second by second, with faults at known times.

    PGVIGIL_TEST_BINDIRS="$(python -m tests.support.matrix 15 18)" python -m tests.support.corpus.record 15 18

Writes traces/postgresql-MAJOR.npz beside this file; ten minutes for a version. A second stands in for a minute:
pgbench keeps each statement at some fifteen calls a second. Between the faults the load has bursts.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg

from collectors.statements import COLLECTOR
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import connect
from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer
from pgvigil.statements import COUNTERS, KEY, StatementChanges
from queries.delta import StatementDeltas
from tests.support.statements import snapshot

TRACES = Path(__file__).parent / "traces"
RECORDED_S = 600
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "autovacuum_naptime": "10s",
    "max_parallel_workers_per_gather": "0",
}
TABLES = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE accounts (id int PRIMARY KEY, balance int, filler text);
CREATE TABLE orders (id int PRIMARY KEY, customer int, amount int, filler text);
CREATE TABLE events (account int, kind int, filler text);
CREATE TABLE counters (id int PRIMARY KEY, n int);
CREATE TABLE journal (at timestamptz, note text);
INSERT INTO accounts SELECT n, 0, repeat(md5(n::text), 3) FROM generate_series(1, 100000) n;
INSERT INTO orders SELECT n, n % 20000, n, repeat('x', 40) FROM generate_series(1, 200000) n;
INSERT INTO events SELECT n % 10000, n % 7, repeat('y', 60) FROM generate_series(1, 300000) n;
INSERT INTO counters SELECT n, 0 FROM generate_series(1, 10) n;
CREATE INDEX orders_customer ON orders (customer);
CREATE INDEX events_account ON events (account);
VACUUM ANALYZE;
SELECT pg_stat_statements_reset();
"""
# Each statement by the name under which the tests know it.
LOAD = {
    "orders": "\\set c random(0, 19999)\nSELECT sum(amount) FROM orders WHERE customer = :c;",
    "events": "\\set a random(0, 9999)\nSELECT count(*), max(kind) FROM events WHERE account = :a;",
    "account": "\\set a random(1, 100000)\nSELECT balance FROM accounts WHERE id = :a;",
    "transfer": "\\set a random(1, 100000)\nUPDATE accounts SET balance = balance + 1 WHERE id = :a;",
    "counter": "\\set i random(1, 10)\nUPDATE counters SET n = n + 1 WHERE id = :i;",
    "sorted": "\\set a random(1, 95000)\nSELECT count(*) FROM (SELECT filler FROM accounts"
    " WHERE id BETWEEN :a AND :a + 3000 ORDER BY filler OFFSET 0) s;",
    "journal": "\\set a random(1, 1000)\nINSERT INTO journal VALUES (now(), repeat('z', :a));",
    "joined": "\\set a random(1, 100000)\nSELECT count(*) FROM accounts a JOIN counters c ON c.id = a.id % 10 WHERE a.id = :a;",
}
PACE = 120  # transactions a second, all statements together
BURSTS_AT_S = (60, 130, 340, 480)


def _sql(*statements: str) -> Callable[[str], None]:
    def act(dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for each in statements:
                connection.execute(each)

    return act


def _contend(dsn: str) -> None:
    """The hot rows are held for most of each second."""
    for _ in range(40):
        with psycopg.connect(dsn) as connection:
            connection.execute("SELECT n FROM counters FOR UPDATE")
            time.sleep(0.6)
        time.sleep(0.4)


def _storm(dsn: str) -> None:
    for _ in range(30):
        _sql("CHECKPOINT")(dsn)
        time.sleep(0.5)


# name, begins at, ends at (None: it stays), what is done, what undoes it
Fault = tuple[str, int, int | None, Callable[[str], None], Callable[[str], None]]
NOTHING = _sql()
FAULTS: tuple[Fault, ...] = (
    ("checkpoint storm", 200, 220, _storm, NOTHING),
    ("index dropped", 250, 310, _sql("DROP INDEX orders_customer"), _sql("CREATE INDEX orders_customer ON orders (customer)")),
    (
        "table grown",
        380,
        None,
        _sql("INSERT INTO events SELECT n % 10000, n % 7, repeat('y', 60) FROM generate_series(1, 300000) n", "ANALYZE events"),
        NOTHING,
    ),
    (
        "work_mem lowered",
        430,
        470,
        _sql("ALTER SYSTEM SET work_mem = '64kB'", "SELECT pg_reload_conf()"),
        _sql("ALTER SYSTEM RESET work_mem", "SELECT pg_reload_conf()"),
    ),
    ("lock contention", 510, 550, _contend, NOTHING),
    ("checkpoint storm", 570, 590, _storm, NOTHING),
)  # fmt: skip


def record(major: int) -> Path:
    chosen = next(each for each in binaries.available() if each.major == major)
    with ScratchServer.start(chosen, settings=SETTINGS) as server:
        _sql(*TABLES.split(";\n"))(server.dsn())
        with _load(server.dsn(), chosen.program("pgbench")):
            time.sleep(3)
            kept = list(_readings(server.dsn(), chosen.program("pgbench")))
        names = _names(server.dsn())
    return _write(TRACES / f"postgresql-{major}.npz", chosen.version, names, kept)


@contextmanager
def _load(
    dsn: str, pgbench: str, *, seconds: int = RECORDED_S + 60, pace: int | None = PACE
) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for name, text in LOAD.items():
            path = Path(directory) / f"{name}.sql"
            path.write_text(text, encoding="utf-8")
            files += ["-f", str(path)]
        limit = ["-R", str(pace)] if pace else []
        running = subprocess.Popen(
            [pgbench, "-n", "-c", "4", "-T", str(seconds), *limit, *files, dsn],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            running.terminate()
            running.wait()


def _burst(dsn: str, pgbench: str) -> None:
    with _load(dsn, pgbench, seconds=6, pace=None):
        time.sleep(3)


def _readings(dsn: str, pgbench: str) -> Iterator[tuple[float, StatementChanges]]:
    """The change of each second; the faults begin and end in threads of their own."""
    planned = [(at_s, lambda: _burst(dsn, pgbench)) for at_s in BURSTS_AT_S]
    for _, begins_s, ends_s, act, undo in FAULTS:
        planned.append((begins_s, lambda act=act: act(dsn)))  # type: ignore[misc]
        if ends_s is not None:
            planned.append((ends_s, lambda undo=undo: undo(dsn)))  # type: ignore[misc]
    session = connect(Dsn.parse(dsn))
    deltas = StatementDeltas()
    began_s = time.monotonic()
    for second in range(RECORDED_S + 1):
        time.sleep(max(0.0, began_s + second - time.monotonic()))
        for each in [each for each in planned if each[0] <= second]:
            planned.remove(each)
            threading.Thread(target=each[1], daemon=True).start()
        at_s = time.monotonic() - began_s
        delta = deltas.take(snapshot(COLLECTOR.read(session), at_s))
        if delta.unknown is None:
            yield at_s, delta.rows
    session.close()


def _names(dsn: str) -> dict[str, int]:
    """The query ids of the load."""
    found = {}
    with psycopg.connect(dsn) as connection:
        for query, queryid in connection.execute("SELECT query, queryid FROM pg_stat_statements").fetchall():
            for name, text in LOAD.items():
                if query[:24] == text.splitlines()[1][:24]:
                    found[name] = queryid
    return found


def _write(
    path: Path, version: str, names: dict[str, int], kept: list[tuple[float, StatementChanges]]
) -> Path:
    """Counters fit into float32 but for times, whose sixth digit says nothing."""
    told = {"version": version, "names": names, "faults": [fault[:3] for fault in FAULTS]}
    columns = {name: np.concatenate([changes.ran[name] for _, changes in kept]) for name in (*KEY, *COUNTERS)}
    columns |= {name: columns[name].astype(np.float32) for name in ("exec_ms", "io_ms")}
    np.savez_compressed(
        path,
        told=json.dumps(told),
        until_s=np.array([at_s for at_s, _ in kept]),
        ran=np.array([len(changes.ran) for _, changes in kept]),
        untold=np.array([len(changes.uncovered) for _, changes in kept]),
        **columns,  # type: ignore[arg-type]
    )
    return path


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        written = record(int(wanted))
        print(written, written.stat().st_size, "bytes")
