"""Collectors are called stale when nothing else tells why they do not read, and only then."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from daemon.clock import system_now
from pgvigil.model.moment import Moment
from pgvigil.scratch.server import ScratchServer
from tests.support.daemons import daemon_in_process
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


@pytest.fixture(autouse=True)
def judged_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.target.FRESHNESS_S", 1.0)


class SleepyClock:
    """Both clocks, ahead by as long as the whole machine is said to have slept."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def __call__(self) -> Moment:
        now = system_now()
        return replace(now, utc=now.utc + timedelta(seconds=self.slept_s), mono_s=now.mono_s + self.slept_s)


def test_a_connection_refused_for_want_of_a_privilege_is_told(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """The server lives, so target_down is wrong; nothing is read, so silence is wrong too."""
    with psycopg.connect(own_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")
        admin.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        with daemon_in_process(tmp_path, CONFIG.format(dsn=own_server.dsn(user="pgvigil"))) as daemon:
            stale = daemon.wait_incident("collector_stale", "firing")
            assert stale["evidence"]["figures"]["Failure"] == "privilege"
            assert daemon.target("shop")["up"] is False
            assert daemon.incidents("target_down") == []
            admin.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
            daemon.wait_incident("collector_stale", "resolved")
            changes = {event["change"] for event in daemon.events("incident")}
            assert changes <= {"fired", "worse", "resolved"}, "it does not flicker with each attempt"


def test_after_a_sleep_of_the_machine_no_collector_is_blamed(
    own_server: ScratchServer, tmp_path: Path
) -> None:
    """A suspended host asks nothing; sixty intervals later that is nobody's delay."""
    clock = SleepyClock()
    with daemon_in_process(tmp_path, CONFIG.format(dsn=own_server.dsn()), now=clock) as daemon:

        def last_read() -> str:
            found = daemon.collector("shop", "availability")
            return (found and found["last_success_at"]) or ""

        poll(last_read, 20)
        clock.slept_s = 60.0
        slept_until = clock().utc.isoformat()
        poll(lambda: last_read() > slept_until, 20, message="it reads again")
        seen = {last_read()}
        poll(lambda: seen.add(last_read()) or len(seen) > 3, 20, message="and was judged since")
        assert daemon.incidents("collector_stale") == []
