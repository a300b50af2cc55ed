"""Somebody acknowledges an incident: everybody who was told sees who, also after kill -9."""

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


def test_who_acknowledged_is_seen_by_all_and_holds_after_kill_nine(
    database: Database,
    slack: FakeSlack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed when the action is in the store and Slack has not heard of it: the message is edited after the restart."""
    monkeypatch.setenv("PGVIGIL_TOKEN", oncall.TOKEN)
    config = oncall.idle_sessions(database) + oncall.sink(slack, tmp_path) + oncall.ana("read", "act")
    dies = ("tests.support.crashing_daemon", "alerts.engine:Engine.act", "after", "1")
    with running_daemon(tmp_path, config, program=dies) as daemon:
        with idle_in_transaction(database.dsn(), "SELECT 1"):
            fired = daemon.wait_incident("idle_in_transaction", "firing")
            poll(slack.roots, 20, message="it was posted")
            command = ["incidents", "ack", fired["id"], "--note", "on it", "--url"]
            assert main([*command, daemon.url]) == codes.SETUP, "it died before it answered"
            poll(lambda: daemon.process.poll() is not None, 25, message="it killed itself")
            daemon.start_again()
            assert daemon.incident(fired["id"])["acknowledged_by"] == "ana"
            poll(lambda: "Acknowledged by ana" in as_text(slack.roots()[0]), 20, message="Slack shows who")
            capsys.readouterr()
            assert main([*command, daemon.url]) == codes.OK
            assert capsys.readouterr().out.startswith(f"ana was first: {fired['id']} was acknowledged at ")
            assert "Acknowledged by ana" in daemon.get(f"/incidents/{fired['id']}")[1]
        daemon.wait_incident("idle_in_transaction", "resolved")
        poll(lambda: "Resolved" in as_text(slack.roots()[0]), 20, message="the end is shown")
        (root,) = slack.roots()
        poll(lambda: slack.replies(root["ts"]), 20, message="and is heard")
        assert ["Resolved" in as_text(reply) for reply in slack.replies(root["ts"])] == [True]
