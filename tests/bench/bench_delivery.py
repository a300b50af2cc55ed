"""From a sample that shows a condition to Slack's acceptance of the message.

    python -m tests.bench.bench_delivery

The daemon is a process of its own with a real server, the Slack is the demo's. Real conditions, one after another:
a session becomes idle in its transaction, is told, ends, is told to be over. The time runs from the moment at which
the reading that shows the condition was *sent* (by the log: when it ended less how long it took) to the moment
at which Slack had the message.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from daemon.demo.fake_slack import FakeSlack
from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer
from tests.bench.figures import Figure, hold, machine, percentile
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll

CONDITIONS = 40
CONFIG = """log_level = "debug"
[[targets]]
name = "bench"
dsn = "{dsn}"
[collectors.activity]
interval = "1s"
[rules.idle_in_transaction]
warning = "1s"
clear = "1s"
keep_firing_for = "0s"
[sinks.oncall]
kind = "slack"
token_file = "{token}"
channel = "#db-oncall"
base_url = "{slack}"
[[routes]]
sinks = ["oncall"]
"""


@contextmanager
def watched(server: ScratchServer, slack: FakeSlack) -> Iterator[RunningDaemon]:
    with tempfile.TemporaryDirectory() as place:
        token = Path(place) / "token"
        token.write_text(slack.token, encoding="utf-8")
        config = CONFIG.format(dsn=server.dsn(), token=token, slack=slack.url)
        with running_daemon(Path(place), config) as daemon:
            yield daemon


def stage(server: ScratchServer, slack: FakeSlack, number: int) -> None:
    """One condition, until Slack knows that it is over: the next one finds the outbox with nothing to do."""
    with idle_in_transaction(server.dsn(), "SELECT 1"):
        poll(lambda: len(slack.roots()) == number + 1, 30, message=f"message {number + 1}")
    root = slack.roots()[number]
    poll(lambda: slack.replies(root["ts"]), 30, message="the message that it is over")


def ended_s(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()


def latencies_s(daemon: RunningDaemon, slack: FakeSlack) -> list[float]:
    """For each message: acceptance less the start of the last reading before the incident fired."""
    fired = [line for line in daemon.events("incident") if line["state"] == "firing"]
    readings = [line for line in daemon.events("read") if line["collector"] == "activity"]
    roots = slack.roots()
    accepted = {f"INC-{root['metadata']['event_payload']['incident']}": float(root["ts"]) for root in roots}
    found = []
    for line in fired:
        if line["id"] in accepted:
            reading = [each for each in readings if each["at"] < line["at"]][-1]
            found.append(accepted.pop(line["id"]) - (ended_s(reading) - reading["ms"] / 1000))
    assert not accepted, f"messages that no reading explains: {accepted}"
    return found


def figures() -> list[Figure]:
    with (
        ScratchServer.start(binaries.best()) as server,
        FakeSlack() as slack,
        watched(server, slack) as daemon,
    ):
        for number in range(CONDITIONS):
            stage(server, slack, number)
        found = latencies_s(daemon, slack)
    what = f"sample sent to accepted by Slack, {len(found)} conditions"
    return [
        Figure(f"{what}: p50", median(found), unit="s"),
        Figure(f"{what}: p95", percentile(found, 95), 1, "s"),
        Figure(f"{what}: longest", max(found), unit="s"),
    ]


if __name__ == "__main__":
    print(machine())
    sys.exit(hold(figures()))
