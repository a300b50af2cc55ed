"""Somebody presses a button in Slack, by Socket Mode and by HTTP: the daemon does it once, and the message says who."""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from daemon.cli import codes, main
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import Database
from tests.support.slack_socket import SlackSocket, actions_of, press, submit

SECRET = "0123456789abcdef"


def post(
    daemon: RunningDaemon, path: str, body: bytes, headers: Mapping[str, str], answers: bytes = b""
) -> int:
    request = urllib.request.Request(daemon.url + path, body, dict(headers), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            status: int = answer.status
            assert answer.read().startswith(answers)
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    at = str(int(time.time()))
    made = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={made}"}


def form(payload: object) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


@contextmanager
def posted(
    database: Database, slack: FakeSlack, tmp_path: Path
) -> Iterator[tuple[RunningDaemon, SlackSocket]]:
    """An incident that was posted, with both ways in for its buttons."""
    (tmp_path / "app").write_text(slack.app_token, encoding="utf-8")
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    buttons = f'app_token_file = "{tmp_path}/app"\nsigning_secret_file = "{tmp_path}/secret"\n'
    config = oncall.idle_sessions(database) + oncall.sink(slack, tmp_path) + buttons
    with SlackSocket() as link:
        slack.socket_url = link.url
        with running_daemon(tmp_path, config) as daemon, idle_in_transaction(database.dsn(), "SELECT 1"):
            daemon.wait_incident("idle_in_transaction", "firing")
            poll(slack.roots, 20, message="it was posted")
            poll(lambda: link.connections, 20, message="Socket Mode is connected")
            yield daemon, link


def test_two_people_press_the_same_button_by_both_ways_in(
    database: Database, slack: FakeSlack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first is shown to all, the second hears who was first; a stranger is refused, and the silence is seen too."""
    with posted(database, slack, tmp_path) as (daemon, link):
        block = actions_of(slack.roots()[0])
        link.push(press(block, "acknowledge"), "envelope-1")
        poll(lambda: "Acknowledged by ana" in as_text(slack.roots()[0]), 20, message="Slack shows who")
        assert link.acknowledged == ["envelope-1"]
        late = form(press(block, "acknowledge", user="U2", name="bob"))
        assert post(daemon, "/receivers/oncall", late, {}) == 403
        assert post(daemon, "/receivers/nobody", late, signed(late)) == 404
        assert post(daemon, "/receivers/oncall", b"\xff=%ff", signed(b"\xff=%ff")) == 403
        assert post(daemon, "/receivers/oncall", late, signed(late)) == 200
        (told,) = poll(lambda: slack.calls_of("chat.postEphemeral"), 20, message="bob is told")
        assert told.arguments["user"] == "U2"
        assert told.arguments["text"].startswith("ana was first: INC-")
        wish = press(
            actions_of(slack.roots()[0]),
            "silence",
            choice="custom:warning",
            trigger=slack.workspace.trigger(),
        )
        link.push(wish, "envelope-2")
        (opened,) = poll(lambda: slack.workspace.views, 20, message="the form is open")
        wrong = form(submit(opened, {"for": "soon", "reason": "new disks"}))
        errors = b'{"response_action":"errors","errors":{"for":'
        assert post(daemon, "/receivers/oncall", wrong, signed(wrong), errors) == 200
        link.push(submit(opened, {"for": "3h", "reason": "new disks"}), "envelope-4")
        poll(lambda: "Silenced by SIL-1 (ana) until" in as_text(slack.roots()[0]), 20, message="who")
        (silence,) = json.loads(daemon.get("/api/v1/silences")[1])["silences"]
        assert (silence["author"], silence["reason"]) == ("ana", "new disks")
        left = [one["action_id"] for one in actions_of(slack.roots()[0])["elements"]]
        assert left == ["unacknowledge", "refresh", "useful", "noise"]
        link.push(press(actions_of(slack.roots()[0]), "noise"), "envelope-3")
        counted = 'pgvigil_rule_feedback_total{rule="idle_in_transaction",verdict="noise"}'
        poll(lambda: daemon.metric(counted), 20, message="the metric counts it")
        capsys.readouterr()
        assert main(["rules", "report", "-c", str(daemon.config)]) == codes.OK
        assert capsys.readouterr().out.splitlines()[1].split() == ["idle_in_transaction", "1", "0", "1"]
    assert [one.outcome for one in slack.calls_of("chat.postMessage")] == ["ok"]
    assert SECRET not in (tmp_path / "pgvigil.log").read_text(encoding="utf-8")


def test_changed_secrets_are_taken_by_a_reload_without_a_restart(
    database: Database, slack: FakeSlack, tmp_path: Path
) -> None:
    """Bot token, app token and signing secret, all in their files: what was good before is good no more."""
    with posted(database, slack, tmp_path) as (daemon, link):
        slack.token, slack.app_token = "xoxb-rotated", "xapp-rotated"
        for name, text in (("token", slack.token), ("app", slack.app_token), ("secret", SECRET[::-1])):
            (tmp_path / name).write_text(text, encoding="utf-8")
        daemon.reload(None)
        poll(lambda: link.connections == 2, 20, message="connected with the new app token")
        taken = form(press(actions_of(slack.roots()[0]), "acknowledge"))
        assert post(daemon, "/receivers/oncall", taken, signed(taken)) == 403
        assert post(daemon, "/receivers/oncall", taken, signed(taken, SECRET[::-1])) == 200
        poll(lambda: "Acknowledged by ana at" in as_text(slack.roots()[0]), 20, message="edited")
        link.push(press(actions_of(slack.roots()[0]), "unacknowledge"), "envelope-1")
        poll(lambda: "Acknowledged" not in as_text(slack.roots()[0]), 20, message="heard by the socket")
        assert not daemon.events("sink_misconfigured")
