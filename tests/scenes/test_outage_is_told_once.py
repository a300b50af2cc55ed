"""An outage is told once: nothing else of the target disturbs anybody, neither meanwhile nor right after."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.postgres.limits import LIMITS
from pgvigil.scratch.server import ScratchServer
from tests.support import oncall
from tests.support.daemons import Api, daemon_in_process
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.availability]
interval = "2s"

[collectors.activity]
interval = "2s"

[collectors.lock_waits]
interval = "2s"

[rules.target_down]
for = "1s"

[rules.collector_stale]
warning = 1.5

[rules.idle_in_transaction]
warning = "1s"
{sink}
[[routes]]
sinks = ["oncall"]
"""
QUICK = replace(LIMITS, connect_s=2.0, margin_s=1.0)
FAST = ("availability", "activity", "lock_waits")


def down_for(daemon: Api) -> timedelta:
    since = daemon.target("shop")["down_since"]
    return datetime.now(UTC) - datetime.fromisoformat(since) if since else timedelta(0)


def read_twice(daemon: Api) -> None:
    """Until every fast collector has succeeded at two more moments."""
    seen: dict[str, set[str]] = {name: set() for name in FAST}

    def all_read() -> bool:
        for name, stamps in seen.items():
            found = daemon.collector("shop", name)
            stamps.add(found["last_success_at"] if found else "")
        return all(len(stamps) > 2 for stamps in seen.values())

    poll(all_read, 20, message=f"all read: {seen}")


def test_a_frozen_server_is_one_message_and_no_collector_is_called_stale(
    own_server: ScratchServer, slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP: connections stay and nothing answers. Down long enough for every collector to be stale by far."""
    monkeypatch.setattr("daemon.target.FRESHNESS_S", 1.0)
    config = CONFIG.format(dsn=own_server.dsn(), sink=oncall.sink(slack, tmp_path))
    with (
        daemon_in_process(tmp_path, config, limits=QUICK) as daemon,
        idle_in_transaction(own_server.dsn(), "SELECT 1") as idle,
    ):
        daemon.wait_incident("idle_in_transaction", "firing")
        own_server.sigstop()
        try:
            down = daemon.wait_incident("target_down", "firing", 40)
            assert down["evidence"]["figures"]["Class"] == "silent"
            child = daemon.wait_incident("idle_in_transaction", "unknown")
            assert child["suppressed_by"] == down["id"]
            poll(lambda: down_for(daemon) > timedelta(seconds=4), 20)
            assert daemon.get("/healthz")[0] == 200
        finally:
            own_server.sigcont()
        daemon.wait_incident("target_down", "resolved")
        assert daemon.wait_incident("idle_in_transaction", "firing")["suppressed_by"] is None
        idle.connection.rollback()
        daemon.wait_incident("idle_in_transaction", "resolved")
        read_twice(daemon)
        assert daemon.incidents("collector_stale") == []
        poll(lambda: all("Resolved" in as_text(root) for root in slack.roots()), 20)
        assert len(slack.roots()) == 2
        replies = [as_text(reply) for root in slack.roots() for reply in slack.replies(root["ts"])]
        assert len(replies) == 2, replies
