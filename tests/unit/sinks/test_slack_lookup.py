"""How the Slack sink finds what it sent before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerts.sinks.slack.sink import SlackSink
from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import FakeSlack
from pgvigil.model.delivery import (
    ActKind,
    CannotLookError,
    DeliveryError,
    DeliveryFailure,
    Told,
)
from tests.unit.sinks.samples import act, delivery, pile_up
from tests.unit.sinks.sending import POST, REPLY, failure, post


def test_a_message_that_arrived_is_found_by_its_act(slack: FakeSlack, sink: SlackSink) -> None:
    slack.inject("chat.postMessage", faults.drop(accepted=True))
    failure(sink)
    sent = delivery(act_key=act().key, act_at=datetime.now(UTC))
    [message] = slack.messages()
    assert sink.find(act(), pile_up(), sent) == {"channel": slack.channel().id, "ts": message["ts"]}
    assert sink.find(act(version=4), pile_up(), sent) is None
    assert sink.find(act(), pile_up(target="another-server"), sent) is None, "another pgvigil's incident 412"


def test_a_reply_that_arrived_is_found_in_its_thread(slack: FakeSlack, sink: SlackSink) -> None:
    row = replace(post(sink), act_at=datetime.now(UTC))
    worse = act(REPLY, Told.WORSE, 5)
    assert sink.find(worse, pile_up(), row) is None
    slack.inject("chat.postMessage", faults.hang(accepted=True))
    failure(sink, worse, row)
    assert sink.find(worse, pile_up(), row) == row.remote


@pytest.mark.parametrize("skew", [timedelta(minutes=-50), timedelta(minutes=50)])
def test_a_message_is_found_when_slacks_clock_is_not_ours(
    slack: FakeSlack, sink: SlackSink, skew: timedelta
) -> None:
    post(sink)
    assert sink.find(act(), pile_up(), delivery(act_at=datetime.now(UTC) + skew)) is not None


def test_a_busy_channel_is_looked_through_page_by_page(slack: FakeSlack, sink: SlackSink) -> None:
    post(sink)
    for number in range(50):
        slack.workspace.post(slack.channel(), {"text": f"chatter {number}"})
    slack.workspace.page_size = 7
    sent = delivery(act_at=datetime.now(UTC))
    assert sink.find(act(), pile_up(), sent) is not None
    assert len(slack.calls_of("conversations.history")) == 8
    slack.workspace.page_size = 2
    with pytest.raises(CannotLookError, match="messages to look through"):
        sink.find(act(), pile_up(), sent)


@pytest.mark.parametrize("kind", [POST, REPLY])
def test_without_the_scope_there_is_no_way_to_look(slack: FakeSlack, sink: SlackSink, kind: ActKind) -> None:
    row = post(sink)
    slack.workspace.scopes = frozenset({"chat:write", "channels:read"})
    with pytest.raises(CannotLookError, match="missing_scope"):
        sink.find(act(kind, Told.WORSE), pile_up(), row)


def test_a_reply_in_a_thread_that_was_deleted_is_not_there(slack: FakeSlack, sink: SlackSink) -> None:
    row = replace(post(sink), act_at=datetime.now(UTC))
    slack.delete_as_human(row.remote["ts"])
    assert sink.find(act(REPLY, Told.WORSE, 5), pile_up(), row) is None


def test_looking_can_fail_as_any_call(slack: FakeSlack, sink: SlackSink) -> None:
    row = post(sink)
    slack.inject("conversations.history", faults.http_error(503))
    with pytest.raises(DeliveryError) as caught:
        sink.find(act(), pile_up(), row)
    assert caught.value.kind is DeliveryFailure.TRANSIENT
