"""A session that leaves its transaction open: one incident, and the same one when it does it again."""

import json
from pathlib import Path

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.scratch.server import ScratchServer
from tests.support import oncall
from tests.support.daemons import running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}

[collectors.activity]
interval = "1s"

[rules.idle_in_transaction]
warning = "1s"

[rules.long_transaction]
warning = "2s"
{sink}
[[routes]]
sinks = ["oncall"]
mention = "<!subteam^S123>"
"""


def test_one_incident_that_comes_back_under_its_own_id(
    own_server: ScratchServer, slack: FakeSlack, tmp_path: Path
) -> None:
    """It includes the long transaction; within the hour it is reopened: edited in place, and heard."""
    config = CONFIG.format(dsn=json.dumps(own_server.dsn()), sink=oncall.sink(slack, tmp_path))
    with (
        running_daemon(tmp_path, config, {"NO_PROXY": "127.0.0.1"}) as daemon,
        idle_in_transaction(own_server.dsn(), "SELECT 1") as session,
    ):
        first = daemon.wait_incident("idle_in_transaction", "firing")
        poll(
            lambda: (
                "long_transaction"
                in " ".join(daemon.incidents("idle_in_transaction")[0]["evidence"]["notes"])
            ),
            45,  # new figures of the same state are written every half minute
            message="the long transaction is evidence of the idle one",
        )
        assert daemon.incidents("long_transaction") == []
        session.connection.rollback()
        daemon.wait_incident("idle_in_transaction", "resolved")
        poll(lambda: "Resolved" in as_text(slack.roots()[0]), 20)
        session.connection.execute("SELECT 2")
        again = daemon.wait_incident("idle_in_transaction", "firing")
        assert again["id"] == first["id"]
        poll(lambda: "Resolved" not in as_text(slack.roots()[0]), 20, message="the message is edited back")
        (root,) = slack.roots()
        poll(lambda: "S123" in as_text(slack.replies(root["ts"])[-1]), 20, message="reopening calls people")
        changes = [
            line["change"] for line in daemon.events("incident") if line["rule"] == "idle_in_transaction"
        ]
        assert changes == ["fired", "resolved", "reopened"]
