"""While a server is busy pgvigil asks it less, says so, sees what matters all the same, and goes back."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import InProcessDaemon, daemon_in_process
from tests.support.polling import poll

FIXED = ("availability", "activity", "lock_waits")
CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[collectors.lock_waits]
interval = "1s"

[collectors.settings]
interval = "1s"

[collectors.constraints]
interval = "1s"
"""


@pytest.fixture(autouse=True)
def minutes_are_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DOUBLE_S": 1.0, "QUIET_S": 2.0, "ENOUGH": 3}.items():
        monkeypatch.setattr(f"daemon.pacing.{name}", value)
    monkeypatch.setattr("daemon.target.FRESHNESS_S", 0.5)


@contextmanager
def crowd(server: ScratchServer, sessions: int) -> Iterator[None]:
    """So many clients, each with a statement that needs a CPU and has no end."""
    connections = [psycopg.connect(server.dsn(), autocommit=True) for _ in range(sessions)]
    try:
        for connection in connections:
            connection.pgconn.send_query(b"DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$")
        yield
    finally:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            for connection in connections:
                admin.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
                connection.close()


@contextmanager
def in_bursts(server: ScratchServer) -> Iterator[Callable[[], None]]:
    """Call it for one burst: every process of the server stands still for longer than a second."""

    def burst() -> None:
        server.sigstop()
        time.sleep(1.2)  # the fault itself
        server.sigcont()

    try:
        yield burst
    finally:
        server.sigcont()


def factor(daemon: InProcessDaemon) -> int:
    found: int = daemon.target("shop")["stretch"]["factor"]
    return found


def reads(daemon: InProcessDaemon, collector: str) -> int:
    return sum(1 for event in daemon.events("read") if event["collector"] == collector)


def shows_how_it_stretches(daemon: InProcessDaemon) -> None:
    """API, metrics and page tell the same, and that those of fixed pace keep theirs."""
    shown = daemon.target("shop")
    collectors = {(one["collector"], one["database"]): one for one in shown["collectors"]}
    stretched = [one for one in collectors.values() if one["interval_s"] > one["configured_interval_s"]]
    assert {"settings", "constraints"} <= {one["collector"] for one in stretched}
    assert all(one["stretch_reason"] for one in stretched)
    assert all(collectors[name, None]["interval_s"] == 1.0 for name in FIXED)
    assert (daemon.metric('pgvigil_target_stretch_factor{target="shop"}') or 1) > 1
    assert (daemon.metric('pgvigil_collector_interval_seconds{collector="settings",target="shop"}') or 1) > 1
    assert daemon.metric('pgvigil_collector_interval_seconds{collector="activity",target="shop"}') == 1.0
    page = daemon.get("/targets/shop")[1]
    assert "The target is busy, so it is asked less often" in page
    assert "configured 1s" in page


def went_back(daemon: InProcessDaemon) -> None:
    """To one, told once, and nobody was called stale meanwhile."""
    poll(lambda: factor(daemon) == 1, 40, message="the intervals are as configured")
    poll(lambda: len(daemon.events("intervals_as_configured")) == 1, 5)
    assert len(daemon.events("intervals_stretched")) == 1
    poll(lambda: daemon.collector("shop", "settings")["interval_s"] == 1.0, 5)  # type: ignore[index]
    before = reads(daemon, "settings")
    poll(lambda: reads(daemon, "settings") >= before + 3, 10, message="each second again")
    assert daemon.incidents("collector_stale") == []


def test_a_crowd_at_work_stretches_the_intervals(own_server: ScratchServer, tmp_path: Path) -> None:
    """Sixteen times what it has had; activity, lock waits and the probe go on meanwhile."""
    with daemon_in_process(tmp_path, CONFIG.format(dsn=own_server.dsn())) as daemon:
        poll(lambda: reads(daemon, "activity") > 4, 30, message="it is known what is usual")
        assert factor(daemon) == 1
        with crowd(own_server, 8 * (os.cpu_count() or 2) + 4):
            poll(lambda: factor(daemon) >= 2, 30, message="stretched")
            shows_how_it_stretches(daemon)
            before = {name: reads(daemon, name) for name in FIXED}
            poll(
                lambda: all(reads(daemon, name) >= before[name] + 2 for name in FIXED),
                20,
                message="they go on",
            )
        assert "at work" in daemon.events("intervals_stretched")[0]["reason"]
        went_back(daemon)


def test_a_server_that_hangs_in_bursts_stretches_the_intervals(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """A second at a time, as on a machine that swaps. It answers in the end, so it is not down."""
    with (
        daemon_in_process(tmp_path, CONFIG.format(dsn=own_server.dsn())) as daemon,
        in_bursts(own_server) as burst,
    ):
        poll(lambda: reads(daemon, "settings") > 1, 30)

        def stretched() -> bool:
            burst()
            return factor(daemon) >= 2

        poll(stretched, 40, interval_s=0.3, message="stretched")
        shows_how_it_stretches(daemon)
        assert daemon.incidents("target_down") == []
        went_back(daemon)
