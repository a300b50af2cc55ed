"""What statements did is there after the end of the process, and the command line shows it."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import RunningDaemon, running_daemon

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}
databases = ["*"]

[collectors.statements]
interval = "1s"
"""
ASKED = "SELECT count(*) FROM orders WHERE total > %s"


def said(directory: Path, *arguments: str) -> str:
    command = [
        sys.executable,
        "-m",
        "daemon",
        "statements",
        *arguments,
        "-c",
        str(directory / "pgvigil.toml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(found: list[dict[str, Any]]) -> dict[str, Any]:
    (one,) = [each for each in found if (each["text"] or "").startswith("SELECT count(*) FROM orders")]
    return one


def ran(session: psycopg.Connection[Any], daemon: RunningDaemon, times: int) -> None:
    """Between two readings of one life of the daemon."""
    daemon.read_again("shop", "statements", times=2)
    for number in range(times):
        session.execute(ASKED, (number,)).fetchall()
    daemon.read_again("shop", "statements", times=2)


def test_what_ran_is_kept_over_a_restart_and_over_the_time_between(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    with closing(psycopg.connect(own_server.dsn(), autocommit=True)) as admin:
        admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        admin.execute("CREATE TABLE orders AS SELECT n AS total FROM generate_series(1, 20000) n")
        with running_daemon(tmp_path, CONFIG.format(dsn=json.dumps(own_server.dsn()))) as daemon:
            ran(admin, daemon, 20)
            daemon.stop()
            for number in range(500):  # nobody looks
                admin.execute(ASKED, (number,)).fetchall()
            daemon.start_again()
            ran(admin, daemon, 7)
            daemon.stop()
    (target,) = json.loads(said(tmp_path, "top", "--json", "--by", "blocks"))["targets"]
    one = asked(target["statements"])
    assert one["calls"] == 27, "what ran while nobody looked has no time of its own"
    assert one["shared_blocks"] >= 27 * 80
    assert one["database"] == "postgres"
    shown = said(tmp_path, "show", one["queryid"])
    print(said(tmp_path, "top"), shown, sep="\n")
    assert "SELECT count(*) FROM orders WHERE total > $1" in shown
    (series,) = json.loads(said(tmp_path, "show", one["queryid"], "--json"))["statements"]
    assert sum(point["calls"] for point in series["points"]) == 27
    assert series["points"][0]["until"] < series["points"][-1]["since"]
