"""From starting the process to the end of the first cycle, and the memory after some: 10,000 statements.

    python -m tests.bench.bench_start

The daemon is a process of its own. The first cycle has ended when every collector has read once, by the log.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from tests.bench.figures import Figure, hold, machine
from tests.bench.wide import filled_server
from tests.support.daemons import ROOT, RunningDaemon, running_daemon
from tests.support.polling import poll

REPEATS = 5
CYCLES = 4  # of the statements, before the memory is looked at
COLLECTORS = {"availability", "activity", "constraints", "lock_waits", "statements"}
LATE = ("alembic", "postgast", "typer")  # rich comes with structlog, and costs about 30 ms
CONFIG = """log_level = "debug"
[[targets]]
name = "bench"
dsn = "{dsn}"
[collectors.statements]
interval = "4s"
[sinks.terminal]
kind = "console"
"""


def reads(daemon: RunningDaemon, collector: str | None = None) -> list[dict[str, Any]]:
    return [line for line in daemon.events("read") if collector in (None, line["collector"])]


def one_start(dsn: str) -> Mapping[str, float]:
    """Seconds to the end of the first cycle; MB after some more. On a store that exists, as on most days."""
    with (
        tempfile.TemporaryDirectory() as place,
        running_daemon(Path(place), CONFIG.format(dsn=dsn)) as daemon,
    ):
        poll(lambda: reads(daemon, "statements"), 30)
        daemon.stop()
        new = daemon.log.stat().st_size
        daemon.start_again()
        began_s = psutil.Process(daemon.process.pid).create_time()

        def of_this_run(collector: str) -> list[dict[str, Any]]:
            return [line for line in reads(daemon, collector) if line["at"] >= new]

        poll(lambda: len(of_this_run("statements")) >= CYCLES, 60, message="cycles of statements")
        rss = psutil.Process(daemon.process.pid).memory_info().rss
        ends = [datetime.fromisoformat(of_this_run(name)[0]["timestamp"]).timestamp() for name in COLLECTORS]
        return {"first_cycle_s": max(ends) - began_s, "rss_mb": rss / 1e6}


def import_s() -> float:
    """Of the whole daemon, by a new interpreter; its own start is taken off."""

    def run(code: str) -> float:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        return time.monotonic() - began

    with_it = [run("import daemon.cli.run, daemon.run, daemon.settings.loader") for _ in range(REPEATS)]
    without = [run("pass") for _ in range(REPEATS)]
    return statistics.median(with_it) - statistics.median(without)


def imported_too_early() -> list[str]:
    """Those of LATE that importing the daemon imports: all but the command line's own."""
    code = f"import sys, daemon.run; print(*sorted(set(sys.modules) & {set(LATE)!r}))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    return ran.stdout.split()


def figures() -> list[Figure]:
    with filled_server() as server:
        runs = [one_start(server.dsn()) for _ in range(REPEATS)]
        print(*(", ".join(f"{name} {value:.2f}" for name, value in run.items()) for run in runs), sep="\n")
    return [
        Figure(
            "start to the end of the first cycle", statistics.median(r["first_cycle_s"] for r in runs), 2, "s"
        ),
        Figure(
            "RSS with one target and 10,000 statements",
            statistics.median(r["rss_mb"] for r in runs),
            130,
            "MB",
        ),
        Figure("importing the daemon", import_s(), unit="s"),
        Figure(f"of {', '.join(LATE)}: imported with the daemon", len(imported_too_early()), 0),
    ]


if __name__ == "__main__":
    print(machine())
    sys.exit(hold(figures()))
