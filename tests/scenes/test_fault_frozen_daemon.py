"""The daemon itself is stopped for a while, as by a suspended machine: nobody is accused when it goes on."""

import signal
import time
from pathlib import Path

import pytest

from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.polling import poll
from tests.support.servers import StartServer

FROZEN_S = 12.0  # twelve intervals: stale and down by far, were the pause not noticed
CONFIG = """
[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[collectors.constraints]
interval = "1s"

[rules.target_down]
for = "2s"

[rules.collector_stale]
warning = 3

"""
TARGET = """
[[targets]]
name = "{name}"
dsn = "{dsn}"
"""


def read_at(daemon: RunningDaemon, target: str) -> float:
    """When its availability was last read with success."""
    labels = f'collector="availability",database="",target="{target}"'
    return daemon.metric(f"pgvigil_collector_last_success_timestamp_seconds{{{labels}}}") or 0.0


@pytest.mark.long
def test_a_daemon_that_was_frozen_accuses_nobody_but_who_is_down(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Of three servers one stays, one is restarted meanwhile, one stops: only that one is told, by its own `for`."""
    servers = {name: start_server() for name in ("stays", "restarted", "stops")}
    targets = "".join(TARGET.format(name=name, dsn=server.dsn()) for name, server in servers.items())
    with running_daemon(tmp_path, CONFIG + targets) as daemon:
        poll(lambda: all(daemon.target(name)["up"] for name in servers), 20)
        last = {name: read_at(daemon, name) for name in servers}
        daemon.process.send_signal(signal.SIGSTOP)
        servers["restarted"].restart()
        servers["stops"].stop()
        time.sleep(FROZEN_S)  # the fault itself: nothing can be asked meanwhile
        daemon.process.send_signal(signal.SIGCONT)
        daemon.wait_incident("target_down", "firing", target="stops")
        servers["stops"].start_again()
        daemon.wait_incident("target_down", "resolved", target="stops")
        for name in servers:
            poll(lambda n=name: read_at(daemon, n) > last[n] + FROZEN_S + 3, 20, message="the ticks go on")
        fired = {(one["rule"], one["target"]) for one in daemon.incidents() if one["fired_at"]}
        assert fired == {("target_down", "stops")}
        assert daemon.events("clock_stepped") == []
        assert daemon.events("loops_stuck") == []
        assert daemon.get("/healthz") == (200, "ok\n")
        assert daemon.stop() == 0
