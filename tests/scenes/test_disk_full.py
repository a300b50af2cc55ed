"""The disk fills up while the daemon runs: it says so, and nothing is lost or told twice."""

import json
from pathlib import Path

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support.daemons import running_daemon
from tests.support.disks import fill
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import Database

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"
databases = ["{database}"]

[collectors.activity]
interval = "1s"

[rules.idle_in_transaction]
warning = "1s"
clear = "1s"

[sinks.oncall]
kind = "slack"
token_file = "{token}"
channel = "#db-oncall"
base_url = "{slack}"
"""


def test_what_happened_on_a_full_disk_is_told_once_when_there_is_space(
    database: Database, slack: FakeSlack, small_disk: Path, tmp_path: Path
) -> None:
    """One incident is open before, ends meanwhile; another begins meanwhile."""
    token = tmp_path / "token"
    token.write_text(slack.token, encoding="utf-8")
    config = CONFIG.format(dsn=database.dsn(), database=database.name, token=token, slack=slack.url)
    environment = {"PGVIGIL_DAEMON__STORE": f"sqlite:///{small_disk}/pgvigil.db", "NO_PROXY": "127.0.0.1"}
    with running_daemon(tmp_path, config, environment) as daemon:
        with idle_in_transaction(database.dsn(), "SELECT 1", application_name="before"):
            first = daemon.wait_incident("idle_in_transaction", "firing")
            poll(lambda: len(slack.roots()) == 1)
            ballast = fill(small_disk)
        with idle_in_transaction(database.dsn(), "SELECT 1", application_name="during") as session:
            poll(lambda: daemon.events("incidents_not_written"), 30)
            poll(lambda: daemon.metric("pgvigil_store_writable") == 0, 10)
            assert daemon.get("/readyz") == (503, "the store cannot be written\n")
            assert daemon.get("/healthz") == (200, "ok\n")
            assert daemon.target("shop")["up"] is True
            (known,) = daemon.incidents()
            assert known["state"] == "firing"
            assert "during" not in json.dumps(daemon.incidents())
            assert len(slack.messages()) == 1
            ballast.unlink()
            poll(lambda: len(slack.roots()) == 2, 30, message="what began meanwhile is told")
            poll(lambda: daemon.get("/readyz")[0] == 200, 20)
            (second,) = daemon.incidents("idle_in_transaction", "firing")
            assert str(session.pid) in second["summary"]
            assert daemon.incidents("idle_in_transaction", "resolved")[0]["id"] == first["id"]
        poll(lambda: len(daemon.incidents("idle_in_transaction", "resolved")) == 2, 30)
        poll(lambda: [as_text(root).count("Resolved after") for root in slack.roots()] == [1, 1], 20)
        assert not any("duplicate" in as_text(message) for message in slack.messages())
        assert daemon.metric("pgvigil_store_writable") == 1
        assert daemon.stop() == 0
