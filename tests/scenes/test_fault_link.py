"""A server behind a link that is cut: packets vanish, and no end of the connection is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pgvigil.postgres.limits import LIMITS
from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import InProcessDaemon, daemon_in_process
from tests.support.namespaces import FarServer, far_server
from tests.support.polling import poll
from tests.support.servers import StartServer

# Ours and the server's keepalives alike; all else is as in service, only sooner.
QUICK = replace(
    LIMITS,
    connect_s=1.5,
    connect_total_s=1.5,
    margin_s=0.5,
    keepalives_idle_s=1,
    keepalives_interval_s=1,
    keepalives_count=2,
    tcp_user_timeout_ms=3_000,
)
CONFIG = """
[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[rules.target_down]
for = "2s"

[rules.idle_in_transaction]
warning = "1s"

[[targets]]
name = "far"
dsn = "{far}"

[[targets]]
name = "near"
dsn = "{near}"
"""
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgvigil%'"


@pytest.fixture
def far(start_server: StartServer) -> Iterator[FarServer]:
    with far_server(start_server) as server:
        yield server


@contextmanager
def watched(far: FarServer, near: ScratchServer, folder: Path) -> Iterator[InProcessDaemon]:
    """Both are up; on the far one a transaction stays open. Afterwards nothing of the near one was touched."""
    config = CONFIG.format(far=far.dsn(), near=near.dsn())
    with daemon_in_process(folder, config, limits=QUICK) as daemon:
        poll(lambda: daemon.target("far")["up"] and daemon.target("near")["up"], 20)
        yield daemon
        assert daemon.target("near")["up"] is True
        assert daemon.incidents(target="near") == []
        assert [c for c in daemon.target("near")["collectors"] if c["missed_ticks"]] == []
        assert daemon.events("job_failed") == []
        assert daemon.get("/healthz")[0] == 200


def idle_inside(far: FarServer) -> psycopg.Connection[tuple[object, ...]]:
    """A transaction left open by somebody on the far side, who feels nothing of the link."""

    def begin() -> psycopg.Connection[tuple[object, ...]]:
        connection = psycopg.connect(far.inner_dsn())
        connection.execute("SELECT 1")
        return connection

    return far.call(begin)


def sessions_of_ours(far: FarServer) -> int:
    """As those see it who are on the far side."""

    def count() -> int:
        with psycopg.connect(far.inner_dsn()) as admin:
            row = admin.execute(OURS).fetchone()
        assert row is not None
        return int(str(row[0]))

    return far.call(count)


def test_a_link_that_goes_down_and_comes_back(
    far: FarServer, own_server: ScratchServer, tmp_path: Path
) -> None:
    """Silent, then down; what was open is unknown, and known again with the first answer. The far server is rid of us."""
    with watched(far, own_server, tmp_path) as daemon:
        idle = idle_inside(far)
        open_one = daemon.wait_incident("idle_in_transaction", "firing")
        assert sessions_of_ours(far) >= 1
        far.link_down()
        down = daemon.wait_incident("target_down", "firing")
        assert down["evidence"]["figures"]["Class"] == "silent"
        unknown = daemon.wait_incident("idle_in_transaction", "unknown")
        assert (unknown["id"], unknown["suppressed_by"]) == (open_one["id"], down["id"])
        poll(lambda: sessions_of_ours(far) == 0, 20, message="the far server has ended our sessions")
        far.link_up()
        daemon.wait_incident("target_down", "resolved")
        known = daemon.wait_incident("idle_in_transaction", "firing")
        assert (known["id"], known["suppressed_by"]) == (open_one["id"], None)
        far.call(idle.close)
        daemon.wait_incident("idle_in_transaction", "resolved")


@pytest.mark.long
def test_answers_that_vanish_keep_us_from_connecting_and_from_nothing_else(
    far: FarServer, own_server: ScratchServer, tmp_path: Path
) -> None:
    """A blackhole on the way back: our packets arrive. When it is gone one answer ends the incident."""
    with watched(far, own_server, tmp_path) as daemon:
        far.swallow()
        down = daemon.wait_incident("target_down", "firing")
        assert down["evidence"]["figures"]["Class"] == "silent"
        far.answer()
        daemon.wait_incident("target_down", "resolved")
        assert [one["rule"] for one in daemon.incidents()] == ["target_down"]
