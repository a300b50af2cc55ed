"""Heavy work has a connection of its own while it runs, and delays nothing else."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from collectors import constraints
from pgvigil.plugins import LaneKind, Reader
from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import daemon_in_process
from tests.support.planting import planted
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}
databases = ["postgres"]

[collectors.constraints]
interval = "1s"
"""
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgvigil%'"


def test_the_third_connection_is_there_only_while_heavy_work_runs(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    running, release = threading.Event(), threading.Event()
    plain = constraints.COLLECTOR

    def slow(reader: Reader) -> Any:
        running.set()
        assert release.wait(30)
        return plain.read(reader)

    with (
        planted(constraints, replace(plain, lane=LaneKind.HEAVY, read=slow)),
        psycopg.connect(own_server.dsn(), autocommit=True) as admin,
        daemon_in_process(tmp_path, CONFIG.format(dsn=json.dumps(own_server.dsn()))) as daemon,
    ):

        def connections() -> int:
            return int(admin.execute(OURS).fetchone()[0])

        assert running.wait(20)
        before = (daemon.collector("shop", "availability") or {})["last_success_at"]
        poll(lambda: (daemon.collector("shop", "availability") or {})["last_success_at"] != before, 20)
        assert connections() == 2  # the server lane's, and this one
        release.set()
        poll(lambda: (daemon.collector("shop", "constraints", "postgres") or {}).get("last_success_at"), 20)
        poll(lambda: connections() == 1, 20, message="closed when it was done")
