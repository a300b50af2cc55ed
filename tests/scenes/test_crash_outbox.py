"""SIGKILL at every stage between a commit and what people read: no loss, no unmarked duplicate."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.demo.fake_slack import TOKEN, FakeSlack
from daemon.demo.fake_slack_faults import hang
from pgvigil.model.delivery import DeliveryStatus
from pgvigil.model.incident import State
from pgvigil.store import Store
from tests.support.mortal_daemon import OF_REMINDERS, STAGES
from tests.support.polling import poll

ROOT = Path(__file__).parents[2]
DUPLICATE = "possible duplicate"


@dataclass
class Scene:
    """One store and one Slack, and daemons that come and go."""

    slack: FakeSlack
    folder: Path
    webhook: bool = False
    remind_every_s: float | None = None

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder}/pgvigil.db"

    def params(self) -> dict[str, Any]:
        secret = self.folder / "secret"
        secret.write_text(self.slack.webhook_url if self.webhook else TOKEN)
        if self.webhook:
            return {"webhook_url_file": str(secret), "timeout": "5s"}
        return {
            "token_file": str(secret),
            "channel": "#db-oncall",
            "base_url": self.slack.url,
            "timeout": "5s",
        }

    @contextmanager
    def daemon(
        self, *, stage: str | None = None, nth: int = 1, incidents: int = 1
    ) -> Iterator[subprocess.Popen[str]]:
        """Running until the end of the block, at the latest."""
        plan = {
            "store": self.url,
            "params": self.params(),
            "incidents": incidents,
            "stage": stage,
            "nth": nth,
            "remind_every_s": self.remind_every_s,
        }
        command = [sys.executable, "-m", "tests.support.mortal_daemon", json.dumps(plan)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            try:
                yield child
            finally:
                child.kill()

    def finish(self, incidents: int = 1) -> None:
        """A daemon that nobody kills plays the rest of the story."""
        with self.daemon(incidents=incidents) as child:
            assert child.wait(60) == 0

    def judge_slack(self, incidents: int = 1) -> None:
        """One message per incident, edited to its end, with both replies, none of it twice."""
        roots = self.slack.roots()
        assert len(roots) == incidents
        for root in roots:
            assert root["metadata"]["event_payload"]["version"] == 3, "the message still tells an old version"
            replies = self.slack.replies(root["ts"])
            assert [reply["metadata"]["event_payload"]["version"] for reply in replies] == [2, 3]
        assert DUPLICATE not in json.dumps(self.slack.messages())

    def judge_store(self, incidents: int = 1) -> None:
        """Each incident once, with its whole history, and nothing left to say."""
        store = Store.open(self.url)
        try:
            kept = store.incidents.list()
            assert len(kept) == incidents
            for each in kept:
                assert (each.state, each.version) == (State.RESOLVED, 3)
                assert [event.kind for event in store.incidents.history(each.id)] == [
                    "fired",
                    "worse",
                    "resolved",
                ]
                (row,) = store.deliveries.of_incident(each.id)
                assert (row.status, row.seen_version) == (DeliveryStatus.SETTLED, 3)
        finally:
            store.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with FakeSlack() as slack:
        yield Scene(slack, tmp_path)


@pytest.mark.parametrize("nth", [1, 3], ids=["firing", "resolving"])
@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_any_stage_it_goes_on_as_if_nothing_had_happened(
    scene: Scene, stage: str, nth: int
) -> None:
    with scene.daemon(stage=stage, nth=nth) as child:
        assert child.wait(60) == -signal.SIGKILL
    scene.finish()
    scene.judge_store()
    scene.judge_slack()


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "not accepted"])
def test_killed_in_the_middle_of_a_call(scene: Scene, method: str, accepted: bool) -> None:
    """Slack has the request, and its answer is not there yet."""
    scene.slack.inject(method, hang(accepted=accepted, wait_s=30))
    with scene.daemon() as child:
        poll(lambda: scene.slack.calls_of(method), 30)
        child.send_signal(signal.SIGKILL)
    scene.slack.clear()
    scene.finish()
    scene.judge_store()
    scene.judge_slack()


@pytest.mark.parametrize("stage", ["after begin", "before settle", "after settle"])
def test_a_webhook_cannot_look_so_it_marks(scene: Scene, stage: str) -> None:
    """Everything is told, and whatever may be there twice says so."""
    scene.webhook = True
    with scene.daemon(stage=stage) as child:
        assert child.wait(60) == -signal.SIGKILL
    before = len(scene.slack.messages())
    scene.finish()
    scene.judge_store()
    messages = [json.dumps(message) for message in scene.slack.messages()]
    marked = [DUPLICATE in message for message in messages]
    in_doubt = stage != "after settle"
    assert before == (stage != "after begin")
    assert marked == [False] * before + [True] * in_doubt + [False] * 2


@pytest.mark.parametrize(
    "stage", ["before wake", "after wake", "after begin", "before settle", "after settle"]
)
def test_a_reminder_that_is_killed_comes_once_all_the_same(scene: Scene, stage: str) -> None:
    """The first message is begun first, that it got worse second, and the first reminder third."""
    scene.remind_every_s = 0.3
    with scene.daemon(stage=stage, nth=1 if stage in OF_REMINDERS else 3) as child:
        assert child.wait(60) == -signal.SIGKILL
    scene.finish()
    scene.judge_store()
    (root,) = scene.slack.roots()
    acts = [reply["metadata"]["event_payload"]["act"] for reply in scene.slack.replies(root["ts"])]
    assert acts[:3] == ["1:2:reply", "1:2.1:reply", "1:2.2:reply"]
    assert acts[-1] == "1:3:reply"
    assert len({*acts}) == len(acts)
    assert DUPLICATE not in json.dumps(scene.slack.messages())


def test_killed_again_and_again_at_random_moments(scene: Scene) -> None:
    """Ten incidents, and a daemon that seldom lives for half a second."""
    chance = random.Random(20261122)
    for _ in range(12):
        with scene.daemon(incidents=10) as child:
            assert child.stdout is not None
            assert child.stdout.readline() in ("started\n", "")
            time.sleep(chance.uniform(0.0, 0.3))  # not waiting for a state: choosing a moment
            child.send_signal(signal.SIGKILL)
    scene.finish(incidents=10)
    scene.judge_store(incidents=10)
    scene.judge_slack(incidents=10)
