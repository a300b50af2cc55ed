"""Silences: nothing is heard while one holds, nothing is lost by it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.cli import codes, main
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support import oncall
from tests.support.daemons import running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import Database

RULE = "idle_in_transaction"


def test_a_silenced_incident_is_edited_and_not_heard_and_told_when_the_silence_ends(
    database: Database,
    slack: FakeSlack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Posted, silenced, over: the message says so and nobody hears it. Firing while silenced: posted at its end."""
    monkeypatch.setenv("PGVIGIL_TOKEN", oncall.TOKEN)
    config = (
        oncall.idle_sessions(database) + oncall.sink(slack, tmp_path) + oncall.ana("read", "act", "silence")
    )
    with running_daemon(tmp_path, config) as daemon:
        add = ["silences", "add", "--match", f"rule={RULE}", "--reason", "deploy", "--url", daemon.url]
        with idle_in_transaction(database.dsn(), "SELECT 1"):
            fired = daemon.wait_incident(RULE, "firing")
            poll(slack.roots, 20, message="it was posted")
            assert main(["incidents", "ack", fired["id"], "--url", daemon.url]) == codes.OK
            poll(lambda: "Acknowledged by ana" in as_text(slack.roots()[0]), 20, message="Slack shows who")
            assert main([*add, "--for", "1h"]) == codes.OK
            assert f"{fired['id']} warning" in capsys.readouterr().out
            poll(lambda: "Silenced by SIL-1" in as_text(slack.roots()[0]), 20, message="Slack shows it")
        daemon.wait_incident(RULE, "resolved")
        poll(lambda: "Resolved" in as_text(slack.roots()[0]), 20, message="the end is shown")
        (root,) = slack.roots()

        with idle_in_transaction(database.dsn(), "SELECT 2"):
            second = daemon.wait_incident(RULE, "firing")
            assert second["marks"] == ["silenced"]
            daemon.kill9()
            daemon.start_again()
            assert daemon.wait_incident(RULE, "firing")["silenced_by"] == "SIL-1"
            assert len(slack.roots()) == 1
            assert main(["silences", "expire", "SIL-1", "--url", daemon.url]) == codes.OK
            poll(lambda: len(slack.roots()) == 2, 20, message="it still fires, and is told now")
        assert slack.replies(root["ts"]) == (), "the end of the first was shown and never heard"


def test_a_maintenance_window_that_is_under_way_keeps_it_quiet_until_the_configuration_drops_it(
    database: Database, slack: FakeSlack, tmp_path: Path
) -> None:
    """The window began before the daemon, and holds over kill -9; dropped, people hear what still fires."""
    config = oncall.idle_sessions(database) + oncall.sink(slack, tmp_path)
    began = datetime.now(UTC) - timedelta(minutes=30)
    window = f"""
[[maintenance]]
name = "repack"
match = {{ rule = "{RULE}" }}
reason = "pg_repack"
from = "{began:%H:%M}"
for = "2h"
"""
    with running_daemon(tmp_path, config + window) as daemon, idle_in_transaction(database.dsn(), "SELECT 1"):
        fired = daemon.wait_incident(RULE, "firing")
        assert fired["silenced_by"] == "SIL-1"
        daemon.kill9()
        daemon.start_again()
        assert daemon.wait_incident(RULE, "firing")["silenced_by"] == "SIL-1"
        (silence,) = json.loads(daemon.get("/api/v1/silences")[1])["silences"]
        assert (silence["author"], silence["reason"]) == ("maintenance repack", "pg_repack")
        assert slack.roots() == ()
        assert daemon.reload(config)["settings_changed"] == ["maintenance"]
        poll(slack.roots, 20, message="it still fires, and is told now")
        assert "Was silenced by SIL-1" in as_text(slack.roots()[0])
        assert "Still firing" in as_text(slack.roots()[0])
