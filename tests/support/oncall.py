"""What the configurations of scenes share: the sink `oncall`, a target with incidents at hand, and who may act."""

import json
from pathlib import Path

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_workspace import Message
from daemon.http.tokens import hash_of
from tests.support.servers import Database

TOKEN = "pgv_of_ana"


def sink(slack: FakeSlack, directory: Path) -> str:
    """The section of `oncall`: the channel #db-oncall of `slack`, whose token is written into `directory`."""
    token = directory / "token"
    token.write_text(slack.token, encoding="utf-8")
    return f"""
[sinks.oncall]
kind = "slack"
token_file = "{token}"
channel = "#db-oncall"
base_url = "{slack.url}"
"""


def idle_sessions(database: Database, watched: str = "nothing") -> str:
    """The target `shop`: who is idle in a transaction for a second is an incident, and it is over as quickly.

    `watched` is the database that the collectors of databases follow; by default there is none.
    """
    return f"""
[[targets]]
name = "shop"
dsn = {json.dumps(database.dsn())}
databases = ["{watched}"]

[collectors.activity]
interval = "1s"

[rules.idle_in_transaction]
warning = "1s"
clear = "1s"
"""


def ana(*may: str) -> str:
    """The section of TOKEN."""
    return f"""
[[tokens]]
name = "ana"
sha256 = "{hash_of(TOKEN)}"
may = {json.dumps(may)}
"""


def digests(slack: FakeSlack) -> list[Message]:
    """The messages in the channel that tell of many incidents."""
    return [root for root in slack.roots() if root["metadata"]["event_type"] == "pgvigil_digest"]
