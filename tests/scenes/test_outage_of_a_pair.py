"""A primary or its standby dies: one message, though both servers show it."""

import json
from pathlib import Path

import pytest

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.pairs import start_pair
from tests.support.polling import poll
from tests.support.servers import StartServer

CONFIG = """
[collectors.availability]
interval = "1s"

[collectors.wal_receiver]
interval = "1s"

[collectors.replication]
interval = "1s"

[collectors.cluster]
interval = "1s"

[rules.target_down]
for = "1s"

[rules.standby_disconnected]
for = "3s"

[rules.replica_missing]
for = "3s"
{sink}
[[routes]]
sinks = ["oncall"]

[[targets]]
name = "main"
dsn = {main}

[[targets]]
name = "replica"
dsn = {replica}
"""


def read(daemon: RunningDaemon, target: str, collector: str) -> bool:
    found = daemon.collector(target, collector)
    return found is not None and found["last_success_at"] is not None


@pytest.mark.parametrize(
    ("dies", "stays", "rule"),
    [("main", "replica", "standby_disconnected"), ("replica", "main", "replica_missing")],
)
def test_one_message_for_what_both_show(
    dies: str, stays: str, rule: str, slack: FakeSlack, start_server: StartServer, tmp_path: Path
) -> None:
    """The other one's incident is there, as a child, and is over soon after the server is back: nobody hears of it."""
    primary, standby = start_pair(start_server, wal_retrieve_retry_interval="1s")
    servers = {"main": primary, "replica": standby}
    config = CONFIG.format(
        sink=oncall.sink(slack, tmp_path),
        main=json.dumps(primary.dsn()),
        replica=json.dumps(standby.dsn()),
    )
    with running_daemon(tmp_path, config, {"NO_PROXY": "127.0.0.1"}) as daemon:
        poll(lambda: read(daemon, "main", "replication") and read(daemon, "replica", "wal_receiver"), 20)
        servers[dies].stop()
        down = daemon.wait_incident("target_down", "firing", target=dies)
        child = daemon.wait_incident(rule, "firing", target=stays)
        assert child["suppressed_by"] == down["id"], child["summary"]
        servers[dies].start_again()
        daemon.wait_incident("target_down", "resolved", target=dies)
        daemon.wait_incident(rule, "resolved", target=stays)
        poll(lambda: any("Resolved" in as_text(root) for root in slack.roots()), 20)
        assert daemon.stop() == 0  # what was due was sent
    told = [as_text(root) for root in slack.roots()]
    assert len(told) == 1, told
    assert "No query is answered" in told[0]
