"""The Slack sink with an incoming webhook: less, and it says so."""

import pytest

from alerts.sinks.slack.webhook import WebhookSink
from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.model.delivery import (
    CannotLookError,
    DeliveryFailure,
    Told,
)
from tests.unit.sinks.samples import act, delivery, pile_up, resolved
from tests.unit.sinks.sending import EDIT, POST, failure


def test_a_webhook_posts_and_says_that_it_can_do_no_more(slack: FakeSlack, webhook: WebhookSink) -> None:
    assert not webhook.can_edit
    assert not webhook.can_reply
    assert webhook.perform(act(), pile_up(), delivery()) == {}
    assert webhook.perform(act(POST, Told.RESOLVED, 9), resolved(), delivery()) == {}
    first, second = slack.roots()
    assert as_text(first).startswith("🔴 Blocking chain")
    assert as_text(second).startswith("✅ Resolved after 14m07s")
    with pytest.raises(CannotLookError):
        webhook.find(act(), pile_up(), delivery())
    assert [problem.slug for problem in webhook.check()] == ["slack-webhook-limited"]
    assert failure(webhook, act(EDIT))[0] is DeliveryFailure.REJECTED


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.rate_limited(3), "rate_limited"),
        (faults.http_error(503), "transient"),
        (faults.http_error(502), "ambiguous"),
        (faults.http_error(200), "transient"),
        (faults.drop(accepted=True), "ambiguous"),
        (faults.hang(accepted=True), "ambiguous"),
    ],
)
def test_each_fault_of_a_webhook_means_one_thing(
    slack: FakeSlack, webhook: WebhookSink, fault: faults.Fault, kind: str
) -> None:
    slack.inject("webhook", fault)
    assert failure(webhook)[0] == kind


def test_a_revoked_webhook_is_misconfigured_and_an_archived_channel_too(
    slack: FakeSlack, webhook: WebhookSink
) -> None:
    slack.channel().is_archived = True
    assert failure(webhook)[0] is DeliveryFailure.MISCONFIGURED
    slack.revoke_webhook()
    assert failure(webhook)[0] is DeliveryFailure.MISCONFIGURED


def test_a_webhook_without_listener_is_transient(slack: FakeSlack, webhook: WebhookSink) -> None:
    slack.stop()
    assert failure(webhook)[0] is DeliveryFailure.TRANSIENT
