"""Delivery end to end: store, outbox, Slack sink and a Slack that fails in every way it knows.

The promise each time: in the end the channel reflects the incident, once, or says that it may be twice.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import TOKEN, FakeSlack
from pgvigil.model.delivery import DeliveryStatus
from pgvigil.model.level import Level
from pgvigil.store import Store
from tests.support.delivering import Scene, token_sink, webhook_sink
from tests.support.polling import poll


@pytest.fixture
def scene(slack: FakeSlack, store: Store, tmp_path: Path) -> Iterator[Scene]:
    with Scene(slack, store, token_sink(slack, tmp_path)) as running:
        yield running


def test_the_life_of_an_incident_is_one_message_and_its_thread(scene: Scene) -> None:
    scene.tell("fired")
    scene.settled()
    scene.worsen()
    scene.settled()
    scene.tell("refreshed", summary="41 sessions blocked by pid 8123")
    scene.settled()
    scene.resolve()
    scene.settled()
    [root] = scene.roots()
    assert root.startswith("✅ Resolved after")
    worse, over = scene.replies()
    assert "Worse: warning → critical" in worse
    assert "@S123" in worse
    assert "✅ Resolved after" in over


@pytest.mark.parametrize(
    "fault",
    [
        faults.rate_limited(0),
        faults.rate_limited("soon"),
        faults.http_error(500),
        faults.http_error(502),
        faults.http_error(503),
        faults.http_error(504, accepted=True),
        faults.http_error(200),
        faults.api_error("internal_error", accepted=True),
        faults.api_error("service_unavailable"),
        faults.drop(),
        faults.drop(accepted=True),
        faults.hang(),
        faults.hang(accepted=True),
        faults.slow(0.3),
    ],
    ids=str,
)
def test_after_a_fault_there_is_one_message(
    scene: Scene, fault: faults.Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.sinks._failures._DEFAULT_RETRY_S", 1.0)
    scene.slack.inject("chat.postMessage", fault)
    scene.tell("fired")
    scene.settled()
    [root] = scene.roots()
    assert "possible duplicate" not in root


@pytest.mark.parametrize(
    "fault",
    [faults.drop(accepted=True), faults.hang(accepted=True), faults.http_error(502), faults.rate_limited(0)],
    ids=str,
)
def test_after_a_fault_there_is_one_reply(scene: Scene, fault: faults.Fault) -> None:
    scene.tell("fired")
    scene.settled()
    scene.slack.inject("chat.postMessage", fault)
    scene.worsen()
    scene.settled()
    [root] = scene.roots()
    [reply] = scene.replies()
    assert "Worse" in reply
    assert "critical" in root


def test_an_outage_of_slack_ends_with_one_message_that_is_current(scene: Scene) -> None:
    scene.slack.stop()
    scene.tell("fired")
    poll(lambda: scene.row().attempts >= 3)
    scene.worsen()
    scene.slack.start()
    scene.settled()
    [root] = scene.roots()
    assert "critical" in root


def test_a_critical_incident_that_ended_during_an_outage_is_still_told(scene: Scene) -> None:
    scene.slack.stop()
    scene.tell("fired", severity=Level.CRITICAL, peak=Level.CRITICAL)
    scene.resolve()
    scene.slack.start()
    scene.settled()
    [root] = scene.roots()
    assert root.startswith("✅ Resolved after")


def test_without_the_history_scope_a_second_send_is_marked(scene: Scene) -> None:
    scene.slack.workspace.scopes = frozenset({"chat:write", "channels:read"})
    scene.slack.inject("chat.postMessage", faults.hang(accepted=True))
    scene.tell("fired")
    scene.settled()
    first, second = scene.roots()
    assert "possible duplicate" not in first
    assert "possible duplicate of a send at " in second


def test_a_refused_form_falls_back_to_a_simpler_one(scene: Scene) -> None:
    scene.slack.inject("chat.postMessage", faults.api_error("invalid_blocks"), times=2)
    scene.tell("fired")
    scene.settled()
    [root] = scene.slack.roots()
    assert root["blocks"] == []
    assert scene.row().attempts == 0


@pytest.mark.parametrize("breaking", ["channel", "token"])
def test_a_broken_set_up_parks_the_row_and_delivers_once_people_have_mended_it(
    scene: Scene, breaking: str, tmp_path: Path
) -> None:
    if breaking == "channel":
        scene.slack.channel().name = "elsewhere"
    else:
        scene.slack.revoked.add(TOKEN)
    scene.tell("fired")
    parked = scene.until(DeliveryStatus.PARKED)
    assert ("channel_not_found" if breaking == "channel" else "token_revoked") in parked.last_error
    if breaking == "channel":
        scene.slack.channel().name = "db-oncall"
    else:
        scene.slack.token = "xoxb-new"
        (tmp_path / "token").write_text("xoxb-new")
    scene.settled()
    assert len(scene.roots()) == 1
    assert [event for event, _ in scene.events].count("sink_misconfigured") == 1, "said once, not at each try"


def test_what_is_wrong_with_the_set_up_is_said_at_start(
    slack: FakeSlack, store: Store, tmp_path: Path
) -> None:
    slack.channel().is_member = False
    with Scene(slack, store, token_sink(slack, tmp_path)) as scene:
        [(problem,)] = poll(lambda: scene.noted)
    assert problem.slug == "slack-not-in-channel"
    assert "not a member of #db-oncall" in problem.sentence


def test_what_is_mended_is_noticed(slack: FakeSlack, store: Store, tmp_path: Path) -> None:
    """Each look says all that is wrong, and nothing when all is well."""
    slack.channel().is_member = False
    with Scene(slack, store, token_sink(slack, tmp_path)) as scene:
        poll(lambda: scene.noted)
        slack.channel().is_member = True
        poll(lambda: scene.noted[-1] == ())


def test_a_token_that_is_revoked_is_a_problem_as_soon_as_a_message_fails(scene: Scene) -> None:
    """Long before the next look that was planned, which is an hour away; and is none when one has arrived."""
    poll(lambda: scene.noted == [()])
    scene.slack.revoked.add(scene.slack.token)
    scene.tell("fired")
    poll(lambda: [problem.slug for problem in scene.noted[-1]] == ["slack-token-invalid"])
    scene.slack.revoked.clear()
    poll(lambda: scene.noted[-1] == ())
    scene.settled()


def test_a_message_that_a_human_deleted_gets_a_new_root(scene: Scene) -> None:
    scene.tell("fired")
    scene.slack.delete_as_human(scene.settled().remote["ts"])
    scene.worsen()
    scene.settled()
    [root] = scene.roots()
    assert "critical" in root
    scene.resolve()
    scene.settled()
    assert scene.roots()[0].startswith("✅ Resolved after")


def test_a_renamed_channel_goes_on_getting_its_messages(scene: Scene) -> None:
    poll(lambda: scene.slack.calls_of("conversations.list"), message="the name was looked up at start")
    poll(lambda: scene.sink._channel_id, message="the id is known")
    scene.slack.channel().name = "db-pages"
    scene.tell("fired")
    scene.settled()
    scene.worsen()
    scene.settled()
    assert len(scene.slack.messages("db-pages")) == 2


def test_a_message_in_an_archived_former_channel_is_told_anew_in_the_present_one(
    scene: Scene, tmp_path: Path
) -> None:
    scene.tell("fired")
    scene.settled()
    scene.slack.workspace.add_channel("new-home")
    scene.slack.channel().is_archived = True
    scene.sink = token_sink(scene.slack, tmp_path, "#new-home")
    scene.restart()
    scene.worsen()
    scene.settled()
    [moved] = scene.slack.roots("new-home")
    assert moved["metadata"]["event_payload"]["incident"] == scene.incident.id


def test_a_webhook_posts_what_must_be_heard_and_marks_what_may_be_twice(
    slack: FakeSlack, store: Store, tmp_path: Path
) -> None:
    with Scene(slack, store, webhook_sink(slack, tmp_path)) as scene:
        scene.tell("fired")
        scene.settled()
        scene.tell("refreshed", summary="41 sessions blocked by pid 8123")
        scene.settled()
        slack.inject("webhook", faults.hang(accepted=True))
        scene.worsen()
        scene.settled()
        scene.resolve()
        scene.settled()
    heads = [root.splitlines()[0] for root in scene.roots()]
    assert [head.split(" · ")[0].split(" after")[0] for head in heads] == [
        "🟠 Blocking chain",
        "🔴 Worse: warning → critical",
        "🔴 Worse: warning → critical",
        "✅ Resolved",
    ]
    assert ["possible duplicate" in root for root in scene.roots()] == [False, False, True, False]
