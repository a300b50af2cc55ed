"""A server that recovers, crashes again and again, shuts down, is promoted or frozen in part: what is said of it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import RunningDaemon, daemon_in_process, running_daemon
from tests.support.pairs import promote, start_pair
from tests.support.polling import poll
from tests.support.servers import StartServer

HEAD = """
[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[collectors.constraints]
interval = "2s"

[rules.target_down]
for = "2s"
"""
TARGET = """
[[targets]]
name = "{name}"
dsn = "{dsn}"
"""


@contextmanager
def watched(folder: Path, **dsns: str) -> Iterator[RunningDaemon]:
    config = HEAD + "".join(TARGET.format(name=name, dsn=dsn) for name, dsn in dsns.items())
    with running_daemon(folder, config) as daemon:
        poll(lambda: all(daemon.target(name)["up"] is not None for name in dsns), 20)
        yield daemon
        assert not daemon.events("job_failed")
        assert daemon.get("/healthz")[0] == 200


def fired(daemon: RunningDaemon) -> list[dict[str, Any]]:
    return [incident for incident in daemon.incidents() if incident["fired_at"]]


def ours(server: ScratchServer) -> int:
    """The backend that serves the daemon's lasting connection; 0 while there is none."""
    with psycopg.connect(server.dsn(), application_name="observer") as admin:
        row = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgvigil%' ORDER BY backend_start LIMIT 1"
        ).fetchone()
    return int(row[0]) if row else 0


def test_a_standby_that_admits_nobody_yet_is_starting_up_and_one_that_does_is_well(
    start_server: StartServer, tmp_path: Path
) -> None:
    """hot_standby off, then on; then it is promoted under our eyes, and nothing fires for that."""
    primary, standby = start_pair(start_server)
    standby.stop()
    with (standby.data / "postgresql.conf").open("a") as configuration:
        configuration.write("hot_standby = off\n")
    with suppress(Exception):
        standby.start_again(deadline_s=1)
    with watched(tmp_path, standby=standby.dsn(), primary=primary.dsn()) as daemon:
        standby_starts(standby)
        down = daemon.wait_incident("target_down", "firing", target="standby")
        assert down["evidence"]["figures"]["Class"] == "starting_up"
        standby.stop()
        with (standby.data / "postgresql.conf").open("a") as configuration:
            configuration.write("hot_standby = on\n")
        standby.start_again()
        daemon.wait_incident("target_down", "resolved", target="standby")
        poll(lambda: daemon.target("standby")["in_recovery"] is True, 20)
        before = fired(daemon)
        promote(standby)
        poll(lambda: daemon.target("standby")["in_recovery"] is False, 20)
        assert daemon.target("standby")["up"]
        assert fired(daemon) == before
        assert daemon.incidents(target="primary") == []


def standby_starts(standby: ScratchServer) -> None:
    """Without hot_standby it never says that it is ready: what waits for that gives up and leaves it stopped."""
    if not standby.running:
        threading.Thread(target=lambda: _start(standby), daemon=True).start()


def _start(standby: ScratchServer) -> None:
    with suppress(Exception):
        standby.start_again(deadline_s=20)


def test_a_crash_loop_is_one_incident_while_it_lasts(own_server: ScratchServer, tmp_path: Path) -> None:
    """A backend is killed again and again, so that all sessions go each time: quick recoveries are no outage.

    Then the whole server dies and stays away: down, once, until it is back for good.
    """
    with watched(tmp_path, shop=own_server.dsn()) as daemon:
        for _ in range(5):
            victim = poll(lambda: _backend(own_server), 20)
            os.kill(victim, signal.SIGKILL)
            poll(lambda pid=victim: not psutil.pid_exists(pid) or _zombie(pid), 10)
        poll(lambda: daemon.target("shop")["up"], 20)
        assert daemon.incidents("target_down", "firing") == []
        own_server.kill9()
        down = daemon.wait_incident("target_down", "firing")
        own_server.start_again()
        daemon.wait_incident("target_down", "resolved")
        (only,) = fired(daemon)
        assert only["id"] == down["id"]


def _backend(server: ScratchServer) -> int:
    """A backend of ours, or 0 while the server recovers."""
    with suppress(psycopg.Error):
        return ours(server)
    return 0


def _zombie(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def test_our_session_does_not_hold_a_smart_shutdown_up(
    own_server: ScratchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pg_ctl stop -m smart waits until all clients have gone: we go, and it is told as what it is."""
    monkeypatch.setattr("daemon.target.KNOCK_S", 1.0)
    config = HEAD.replace('"2s"\n\n[rules', '"10m"\n\n[rules') + TARGET.format(
        name="shop", dsn=own_server.dsn()
    )
    assert "10m" in config  # no collector but the knock connects anew
    with daemon_in_process(tmp_path, config) as daemon:
        poll(lambda: daemon.target("shop")["up"], 20)
        own_server.stop("smart", deadline_s=25)
        assert "received smart shutdown request" in own_server.log.read_text()
        assert "database system is shut down" in own_server.log.read_text()
        down = daemon.wait_incident("target_down", "firing")
        assert down["evidence"]["figures"]["Class"] in {"refused", "shutting_down"}
        own_server.start_again()
        daemon.wait_incident("target_down", "resolved")


@pytest.mark.long
@pytest.mark.parametrize("part", ["postmaster", "backend"])
def test_a_server_that_is_frozen_in_part(own_server: ScratchServer, tmp_path: Path, part: str) -> None:
    """The postmaster alone: who is connected is served, so it is not down, and what needs a new connection says so.

    One backend alone, ours: a new connection works at once, so nothing fires.
    """
    with watched(tmp_path, shop=own_server.dsn()) as daemon:
        poll(lambda: daemon.target("shop")["up"], 20)
        frozen = ours(own_server) if part == "backend" else own_server.pid
        before = read_at(daemon)
        os.kill(frozen, signal.SIGSTOP)
        try:
            if part == "backend":
                poll(lambda: ours_is_another(own_server, frozen), 30, message="connected anew")
            else:
                stale = daemon.wait_incident("collector_stale", "firing", 40)
                assert "constraints" in stale["summary"]
                assert stale["evidence"]["figures"]["Failure"] == "silent"
            poll(lambda: read_at(daemon) >= before + 3, 30, message="it is read all the while")
            assert daemon.target("shop")["up"]
            assert daemon.incidents("target_down", "firing") == []
        finally:
            os.kill(frozen, signal.SIGCONT)
        poll(lambda: not daemon.incidents(state="firing"), 30)


def ours_is_another(server: ScratchServer, frozen: int) -> bool:
    with psycopg.connect(server.dsn(), application_name="observer") as admin:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgvigil%%' AND pid <> %s"
        return admin.execute(query, [frozen]).fetchone() != (0,)


def read_at(daemon: RunningDaemon) -> float:
    """When availability was last read with success."""
    labels = 'collector="availability",database="",target="shop"'
    return daemon.metric(f"pgvigil_collector_last_success_timestamp_seconds{{{labels}}}") or 0.0
