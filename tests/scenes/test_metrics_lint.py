"""What Prometheus' own linter says of the metrics of a daemon that has seen trouble."""

import shutil
import subprocess
from pathlib import Path

from tests.support.daemons import running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.reporting import not_run
from tests.support.servers import Database

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.statements]
interval = "1s"

[rules.idle_in_transaction]
warning = "1s"
clear = "1s"

[sinks.terminal]
kind = "console"
"""


def test_promtool_finds_no_fault_in_the_metrics(database: Database, tmp_path: Path) -> None:
    """With per-query series, sessions, an open incident and a delivery: every family has samples."""
    promtool = shutil.which("promtool")
    if promtool is None:
        not_run("no promtool (Debian: apt-get install prometheus)")
    database.execute("CREATE EXTENSION pg_stat_statements")
    with (
        running_daemon(tmp_path, CONFIG.format(dsn=database.dsn())) as daemon,
        idle_in_transaction(database.dsn(), "SELECT 1"),
    ):
        daemon.wait_incident("idle_in_transaction", "firing")
        for series in ("pgvigil_query_calls_total{", "pgvigil_sessions{", "pgvigil_incidents_open{"):
            poll(lambda start=series: daemon.metric(start), 20, message=f"a sample of {series}")
        ran = subprocess.run(
            [promtool, "check", "metrics"],
            input=daemon.get("/metrics")[1],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
