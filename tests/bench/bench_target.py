"""What being watched costs a server at the default intervals: CPU, connections, and transactions a second.

    python -m tests.bench.bench_target

10,000 statements and a pgbench load. CPU is that of all backends of the daemon from its start to its end, by the
system's accounts of ended processes; it includes a first cycle, in which every collector reads. The transactions
are paired: with the daemon, and with the daemon stopped in its tracks (SIGSTOP), in turn. It shares the cores
with the server and with pgbench, which costs more than it would cost from another machine.
"""

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from pgvigil.scratch.server import ScratchServer
from tests.bench.figures import Figure, hold, machine, mean_with_margin
from tests.bench.wide import filled_server
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.polling import poll

WATCHED_S = 125  # two polls of the statements, twelve of the activity, twenty-four of the locks
PAIRS = 10
TURN_S = 8
LOOK_S = 0.02
CONFIG = """[[targets]]
name = "bench"
dsn = "{dsn}"
[sinks.terminal]
kind = "console"
"""


@contextmanager
def watched(server: ScratchServer) -> Iterator[RunningDaemon]:
    with (
        tempfile.TemporaryDirectory() as place,
        running_daemon(Path(place), CONFIG.format(dsn=server.dsn())) as daemon,
    ):
        yield daemon
        daemon.stop()


def pgbench(server: ScratchServer, *options: str) -> list[str]:
    program = server.binaries.program("pgbench")
    return [program, "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", *options, "postgres"]


def connections(observer: psycopg.Connection[tuple[int]], seconds: float) -> int:
    """The most that pgvigil had at once."""
    until, most = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        most = max(most, count(observer, "pgvigil"))
        time.sleep(LOOK_S)
    return most


def count(observer: psycopg.Connection[tuple[int]], application: str) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    return (observer.execute(query, [application]).fetchone() or (0,))[0]


def reaped_s(server: ScratchServer) -> float:
    """CPU of all backends that have ended."""
    spent = psutil.Process(server.pid).cpu_times()
    return spent.children_user + spent.children_system


def cost(server: ScratchServer) -> tuple[float, int]:
    """CPU of our backends in percent of a core, and the most connections at once.

    All that end between the two looks are ours: the load's and the observer's go on, and there is no autovacuum.
    """
    load = subprocess.Popen(
        pgbench(server, "-n", "-c", "2", "-R", "200", "-T", str(10 * WATCHED_S)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with psycopg.connect(server.dsn(), autocommit=True) as observer:
        try:
            poll(lambda: count(observer, "pgbench") == 2, message="the load runs")
            before_s = reaped_s(server)
            with watched(server):
                most = connections(observer, WATCHED_S)
            poll(lambda: count(observer, "pgvigil") == 0, message="the daemon's backends have ended")
            spent_s = reaped_s(server) - before_s
        finally:
            load.terminate()
            load.wait()
    print(f"{spent_s:.2f} s of CPU in {WATCHED_S} s")
    return 100 * spent_s / WATCHED_S, most


def tps(server: ScratchServer) -> float:
    command = pgbench(server, "-n", "-S", "-c", "2", "-T", str(TURN_S))
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"tps = ([\d.]+)", output)
    assert found is not None, output
    return float(found[1])


def loss_percent(server: ScratchServer, daemon: RunningDaemon) -> list[float]:
    """Of transactions a second, pair by pair. Every other pair is turned round: a drift cancels itself out."""
    losses = []
    for number in range(PAIRS):
        rates = {}
        for running in (False, True) if number % 2 else (True, False):
            daemon.process.send_signal(signal.SIGCONT if running else signal.SIGSTOP)
            rates[running] = tps(server)
        losses.append(100 * (1 - rates[True] / rates[False]))
        print(f"without {rates[False]:.0f}, with {rates[True]:.0f} a second: {losses[-1]:+.1f} % lost")
    daemon.process.send_signal(signal.SIGCONT)
    return losses


def figures() -> list[Figure]:
    with filled_server() as server:
        subprocess.run(pgbench(server, "-i", "-q", "-s", "5"), check=True, capture_output=True)
        server.reload({"autovacuum": "off"})
        percent, most = cost(server)
        with watched(server) as daemon:
            mean, margin = mean_with_margin(loss_percent(server, daemon))
    return [
        Figure("CPU of our backends, of one core", percent, 0.5, "%"),
        Figure("connections at once", most, 2),
        Figure(f"pgbench -S, {PAIRS} pairs: transactions lost (+- {margin:.2f} %)", mean, unit="%"),
    ]


if __name__ == "__main__":
    print(machine())
    sys.exit(hold(figures()))
