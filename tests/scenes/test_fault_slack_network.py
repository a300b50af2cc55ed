"""A network that misbehaves between the outbox and Slack: in the end one message, and nothing said twice."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from alerts.sinks.slack import SINK, SlackParams
from daemon.demo.fake_slack import FakeSlack
from pgvigil.model.delivery import DeliveryStatus
from pgvigil.store import Store
from tests.support.delivering import NAME, Scene
from tests.support.polling import poll
from tests.support.proxy import Proxy, Then, Toxic, proxied

ANSWERS = {
    "reset": Toxic(then=Then.RESET),
    "reset within": Toxic(after=60, then=Then.RESET),
    "cut off in the head": Toxic(after=20, then=Then.FINISH),
    "cut off in the body": Toxic(after=220, then=Then.FINISH),
    "silence": Toxic(then=Then.STALL),
    "silence within": Toxic(after=60, then=Then.STALL),
    "nonsense": Toxic(then=Then.GARBAGE, garbage=b"\xff" * 32 + b"\r\n\r\n"),
    "nonsense within": Toxic(after=220, then=Then.GARBAGE, garbage=b'\r\n\r\n\xff{"ok'),
}
QUESTIONS = {
    "reset": Toxic(then=Then.RESET),
    "reset within": Toxic(after=300, then=Then.RESET),
    "cut off": Toxic(after=300, then=Then.FINISH),
    "silence": Toxic(after=300, then=Then.STALL),
}


def port_of(slack: FakeSlack) -> int:
    port = urlsplit(slack.url).port
    assert port is not None
    return port


@pytest.fixture
def between(slack: FakeSlack) -> Iterator[Proxy]:
    with proxied(port_of(slack)) as proxy:
        yield proxy


@pytest.fixture
def scene(slack: FakeSlack, store: Store, between: Proxy, tmp_path: Path) -> Iterator[Scene]:
    token = tmp_path / "token"
    token.write_text(slack.token)
    url = f"http://127.0.0.1:{between.port}/api/"
    params = SlackParams(token_file=token, channel="#db-oncall", base_url=url, timeout="500ms")
    with Scene(slack, store, SINK.build(NAME, params, "")) as running:
        yield running


def one_message_and_its_thread(scene: Scene) -> None:
    """The whole life of the incident, as people read it."""
    scene.settled()
    scene.worsen()
    scene.settled()
    scene.resolve()
    scene.settled()
    (root,) = scene.roots()
    worse, over = scene.replies()
    assert root.startswith("✅ Resolved after")
    assert "Worse" in worse
    assert "✅ Resolved after" in over
    assert not any("duplicate" in text for text in (root, worse, over))


@pytest.mark.parametrize("toxic", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_lost_on_its_way_is_looked_for_and_not_sent_again(
    scene: Scene, between: Proxy, toxic: Toxic
) -> None:
    """The message arrived, nobody told us: it is found as soon as Slack can be asked."""
    between.down = toxic
    scene.tell("fired")
    poll(lambda: len(scene.roots()) == 1, message="the message arrived")
    scene.until(DeliveryStatus.AMBIGUOUS)
    between.heal()
    one_message_and_its_thread(scene)
    assert len(scene.slack.calls_of("chat.postMessage")) == 3  # the root, and two replies


@pytest.mark.parametrize("toxic", QUESTIONS.values(), ids=QUESTIONS)
def test_a_message_that_is_lost_on_its_way_is_sent_again(scene: Scene, between: Proxy, toxic: Toxic) -> None:
    between.up = toxic
    scene.tell("fired")
    poll(lambda: scene.row().last_error, message="it went wrong")
    assert scene.roots() == []
    between.heal()
    one_message_and_its_thread(scene)


def test_a_slack_that_is_not_there_or_far_away_is_waited_for(scene: Scene, between: Proxy) -> None:
    """Refused at first; then so far away that an answer takes a third of our patience."""
    between.refuse()
    scene.tell("fired")
    poll(lambda: scene.row().last_error, message="it went wrong")
    between.heal()
    between.down = Toxic(latency_s=0.15, jitter_s=0.05)
    one_message_and_its_thread(scene)


@pytest.mark.parametrize(
    "toxic", [Toxic(then=Then.RESET), Toxic(after=20, then=Then.FINISH)], ids=["reset", "cut off"]
)
def test_a_webhook_whose_answer_is_lost_says_that_it_may_be_twice(
    slack: FakeSlack, store: Store, between: Proxy, tmp_path: Path, toxic: Toxic
) -> None:
    """Nobody can look what a webhook did: one more message, marked, and not one for each attempt."""
    url = tmp_path / "webhook"
    url.write_text(slack.webhook_url.replace(f":{port_of(slack)}", f":{between.port}"))
    sink = SINK.build(NAME, SlackParams(webhook_url_file=url, timeout="500ms"), "")
    with Scene(slack, store, sink) as scene:
        between.down = toxic
        scene.tell("fired")
        poll(lambda: len(scene.roots()) == 1, message="the message arrived")
        poll(lambda: scene.row().last_error, message="and nobody told us")
        between.heal()
        scene.settled()
        first, *more = scene.roots()
        assert "possible duplicate" not in first
        assert more
        assert all("possible duplicate" in text for text in more)
