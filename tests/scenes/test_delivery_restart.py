"""The daemon is killed with a message under way: nothing is lost, nothing comes twice unmarked."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import FakeSlack
from pgvigil.store import Store
from tests.support.delivering import NAME, Scene, token_sink
from tests.support.polling import poll

ROOT = Path(__file__).parents[2]

# A daemon reduced to its outbox. It is killed, so it never gets to the end of its wait.
CHILD = """
import sys, threading
from pathlib import Path
from alerts.outbox.worker import OutboxWorker
from alerts.sinks.slack import SINK, SlackParams
from pgvigil.store import Store
from tests.support.delivering import NAME, QUICK, now

store_url, base_url, token = sys.argv[1:]
params = SlackParams(token_file=Path(token), channel="#db-oncall", base_url=base_url, timeout="30s")
OutboxWorker(NAME, SINK.build(NAME, params, ""), Store.open(store_url), now, QUICK).start()
threading.Event().wait(60)
"""


@pytest.mark.parametrize("accepted", [True, False], ids=["after it was accepted", "before it was accepted"])
@pytest.mark.parametrize("history", [True, False], ids=["with history", "without history"])
@pytest.mark.parametrize("told", ["fired", "worse"])
def test_a_daemon_killed_in_a_call_is_as_if_it_had_waited(
    slack: FakeSlack, tmp_path: Path, accepted: bool, history: bool, told: str
) -> None:
    url = f"sqlite:///{tmp_path / 'pgvigil.db'}"
    store = Store.open(url)
    scene = Scene(slack, store, token_sink(slack, tmp_path))
    if told == "worse":
        with scene:
            scene.tell("fired")
            scene.settled()
        scene.worsen()
    else:
        scene.tell("fired")
    store.close()
    if not history:
        slack.workspace.scopes = frozenset({"chat:write", "channels:read"})

    slack.inject("chat.postMessage", faults.hang(accepted=accepted))
    before = len(slack.calls_of("chat.postMessage"))
    arguments = [url, slack.url, str(tmp_path / "token")]
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], cwd=ROOT)
    try:
        poll(lambda: len(slack.calls_of("chat.postMessage")) > before, 30, message="the child calls Slack")
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)

    reopened = Store.open(url)
    try:
        row = reopened.deliveries.get(scene.incident.id, NAME)
        assert row is not None
        assert (
            row.act_key
            == f"{scene.incident.id}:{scene.incident.version}:{'post' if told == 'fired' else 'reply'}"
        )
        scene.take_over(reopened)
        with scene:
            scene.settled()
    finally:
        reopened.close()

    texts = scene.roots() if told == "fired" else scene.replies()
    marked = ["possible duplicate" in text for text in texts]
    if history:
        assert marked == [False]
    else:
        assert marked == ([False, True] if accepted else [True])
    assert len(scene.roots()) <= 2
