"""The wall clock is set by an hour: ticks go on, and no duration is wrong by an hour."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import Api, daemon_in_process
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.availability]
interval = "1s"

[rules.target_down]
for = "1s"
"""


def failures(daemon: Api) -> float:
    """How often the server was asked in vain."""
    labels = 'collector="availability",database="",reason="refused",target="shop"'
    return daemon.metric(f"pgvigil_collector_errors_total{{{labels}}}") or 0.0


def lasted(incident: dict[str, str]) -> timedelta:
    return datetime.fromisoformat(incident["resolved_at"]) - datetime.fromisoformat(incident["since"])


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)], ids=["forth", "back"])
def test_an_incident_that_is_open_meanwhile_lasts_as_long_as_it_lasts(
    own_server: ScratchServer, tmp_path: Path, step: timedelta
) -> None:
    """Down before the step, up after it; what fires and resolves afterwards is as quick as ever."""
    own_server.stop()
    with daemon_in_process(tmp_path, CONFIG.format(dsn=own_server.dsn())) as daemon:
        daemon.wait_incident("target_down", "firing")
        with time_machine.travel(datetime.now(UTC) + step, tick=True):
            poll(lambda: daemon.events("clock_stepped"), 10, message="the step is seen")
            before = failures(daemon)
            poll(lambda: failures(daemon) >= before + 2, 20, message="two more attempts")
            own_server.start_again()
            down = daemon.wait_incident("target_down", "resolved")
            assert timedelta(0) < lasted(down) < timedelta(minutes=5)
            assert abs(datetime.fromisoformat(down["resolved_at"]) - datetime.now(UTC)) < timedelta(minutes=5)
            last = daemon.target("shop")["collectors"]
            assert all(collector["missed_ticks"] == 0 for collector in last)
            assert daemon.incidents("collector_stale") == []
