"""The Slack sink against the fake: what it sends, its tokens, its tiers, its set-up."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alerts.sinks.slack import SINK, SlackParams
from alerts.sinks.slack.sink import SlackSink
from alerts.sinks.slack.webhook import WebhookSink
from daemon.clock import system_now
from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import TOKEN, FakeSlack
from daemon.demo.fake_slack_text import as_text, mentions
from pgvigil.model.delivery import (
    Act,
    DeliveryError,
    DeliveryFailure,
    Told,
)
from pgvigil.plugins import Sink
from pgvigil.problems import SetupError
from tests.unit.sinks.samples import MENTION, act, delivery, pile_up, resolved
from tests.unit.sinks.sending import EDIT, POST, REPLY, built, failure, post


def test_an_incident_is_one_message_edited_in_place_and_answered(slack: FakeSlack, sink: SlackSink) -> None:
    row = post(sink)
    worse = replace(row, remote=sink.perform(act(REPLY, Told.WORSE, 5), pile_up(), row))
    sink.perform(act(EDIT, version=9), resolved(), worse)
    sink.perform(act(REPLY, Told.RESOLVED, 9), resolved(), worse)
    [root] = slack.roots()
    assert row.remote == worse.remote == {"channel": slack.channel().id, "ts": root["ts"]}
    assert as_text(root).startswith("✅ Resolved after 14m07s")
    heard, quiet = slack.replies(root["ts"])
    assert heard["subtype"] == "thread_broadcast"
    assert mentions(heard) == (MENTION,)
    assert "subtype" not in quiet
    assert mentions(quiet) == ()


def test_nothing_is_unfurled_and_no_names_are_linked(slack: FakeSlack, sink: SlackSink) -> None:
    post(sink)
    [call] = slack.calls_of("chat.postMessage")
    assert call.arguments["unfurl_links"] is False
    assert call.arguments["unfurl_media"] is False
    assert not {"link_names", "parse"} & call.arguments.keys()


def test_a_channel_is_used_by_id_once_it_is_known_so_renaming_it_changes_nothing(
    slack: FakeSlack, sink: SlackSink
) -> None:
    slack.workspace.page_size = 2
    for number in range(5):
        slack.workspace.add_channel(f"a{number}")
    slack.workspace.channels.append(slack.workspace.channels.pop(0))
    assert sink.check() == ()
    slack.channel("db-oncall").name = "db-pages"
    row = post(sink)
    sink.perform(act(EDIT), pile_up(), row)
    assert len(slack.messages("db-pages")) == 1


def test_without_a_look_at_the_channels_a_name_is_learned_from_the_first_message(
    slack: FakeSlack, sink: SlackSink
) -> None:
    row = post(sink)
    slack.channel().name = "db-pages"
    assert post(sink).remote["channel"] == row.remote["channel"]


def test_a_private_channel_by_id_is_fine(slack: FakeSlack, token_file: Path) -> None:
    channel = slack.workspace.add_channel("secret", is_private=True)
    sink = built(slack, token_file, channel.id)
    assert sink.check() == ()
    post(sink)
    assert len(slack.messages("secret")) == 1


def test_a_revoked_token_is_misconfigured_until_the_file_holds_a_good_one(
    slack: FakeSlack, sink: SlackSink, token_file: Path
) -> None:
    slack.revoked.add(TOKEN)
    assert failure(sink)[0] is DeliveryFailure.MISCONFIGURED
    slack.token = "xoxb-rotated"
    token_file.write_text("xoxb-rotated")
    post(sink)
    assert len(slack.messages()) == 1


def test_a_token_file_that_vanished_keeps_the_token_that_was_read(
    slack: FakeSlack, sink: SlackSink, token_file: Path
) -> None:
    token_file.unlink()
    post(sink)
    slack.revoked.add(TOKEN)
    assert failure(sink)[0] is DeliveryFailure.MISCONFIGURED


@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_a_secret_file_that_holds_nothing_is_a_setup_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "absent"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SetupError, match="secret file"):
        SINK.build("oncall", SlackParams(token_file=path, channel="#x"), "")


def test_no_secret_is_in_a_repr_a_log_or_an_error(
    slack: FakeSlack, sink: SlackSink, webhook: WebhookSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger().setLevel(logging.DEBUG)
    said = [repr(vars(sink)), repr(vars(webhook)), repr(sink)]
    for fault in (
        faults.drop(),
        faults.http_error(503),
        faults.api_error("invalid_auth"),
        faults.rate_limited(),
    ):
        slack.inject("*", fault)
        said.append(repr(failure(sink)[1]))
        slack.inject("*", fault)
        said.append(repr(failure(webhook)[1]))
    slack.stop()
    said += [repr(failure(sink)[1]), repr(failure(webhook)[1]), *map(repr, webhook.check()), caplog.text]
    with pytest.raises(DeliveryError) as unreachable:
        sink.check()
    said.append(repr(unreachable.value))
    for secret in (TOKEN, "fakefakefake", "Bearer"):
        assert not [words for words in said if secret in words]


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_blocks_too_long"])
def test_a_refused_form_is_tried_in_simpler_ones_at_once(
    slack: FakeSlack, sink: SlackSink, error: str
) -> None:
    slack.inject("chat.postMessage", faults.api_error(error), times=2)
    post(sink)
    [message] = slack.messages()
    assert message["blocks"] == []
    assert "23 sessions blocked" in message["text"]
    assert sink.fallbacks == {"text": 1}


def test_the_form_that_worked_is_kept_for_the_incident_and_an_edit_removes_old_blocks(
    slack: FakeSlack, sink: SlackSink
) -> None:
    row = post(sink)
    slack.inject("chat.update", faults.api_error("invalid_blocks"), times=2)
    sink.perform(act(EDIT, version=4), pile_up(), row)
    sink.perform(act(EDIT, version=5), pile_up(), row)
    assert len(slack.calls_of("chat.update")) == 4, "three for the first edit, one for the second"
    assert slack.messages()[0]["blocks"] == []


def test_one_refused_message_does_not_make_the_others_plain_but_two_do(
    slack: FakeSlack, sink: SlackSink
) -> None:
    for number, blocks in ((1, 0), (2, 8), (3, 0), (4, 0)):
        if number in (1, 3):
            slack.inject("chat.postMessage", faults.api_error("invalid_blocks"), times=2)
        sink.perform(Act(POST, number, 1), pile_up(id=number), delivery(incident_id=number))
        assert (len(slack.messages()[-1]["blocks"]) > 0) == (blocks > 0), number


def test_when_even_plain_text_is_refused_it_is_a_defect(slack: FakeSlack, sink: SlackSink) -> None:
    slack.inject_always("chat.postMessage", faults.api_error("invalid_blocks"))
    assert failure(sink)[0] is DeliveryFailure.REJECTED
    assert len(slack.calls_of("chat.postMessage")) == 3


def test_check_is_silent_when_all_is_well(sink: SlackSink) -> None:
    assert sink.check() == ()


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (lambda slack: slack.revoked.add(TOKEN), ["slack-token-invalid"]),
        (lambda slack: setattr(slack.channel(), "name", "other"), ["slack-channel-missing"]),
        (lambda slack: setattr(slack.channel(), "is_archived", True), ["slack-channel-archived"]),
        (lambda slack: setattr(slack.channel(), "is_member", False), ["slack-not-in-channel"]),
        (lambda slack: slack.inject("*", faults.api_error("team_access_not_granted")), ["slack-refused"]),
        (
            lambda slack: setattr(
                slack.workspace, "scopes", frozenset({"chat:write", "channels:read", "groups:read"})
            ),
            ["slack-scope-missing"],
        ),
        (
            lambda slack: setattr(slack.workspace, "scopes", frozenset({"chat:write"})),
            ["slack-scope-missing", "slack-scope-missing"],
        ),
    ],
)
def test_check_says_what_is_wrong(
    slack: FakeSlack, sink: SlackSink, break_it: Callable[[FakeSlack], object], expected: list[str]
) -> None:
    """By slug, with the names of sink, channel and scope in the sentence, and how to mend it."""
    break_it(slack)
    found = sink.check()
    assert [problem.slug for problem in found] == expected
    assert all("sink oncall" in problem.sentence and problem.fix for problem in found)


def test_a_scope_that_is_missing_is_named(slack: FakeSlack, sink: SlackSink) -> None:
    slack.workspace.scopes = frozenset({"chat:write"})
    history, listing = sink.check()
    assert "channels:history" in history.sentence
    assert "channels:history" in history.fix
    assert "channels:read" in listing.sentence


def test_a_slack_that_cannot_be_reached_is_no_matter_of_set_up(slack: FakeSlack, sink: SlackSink) -> None:
    slack.stop()
    with pytest.raises(DeliveryError, match="cannot be reached"):
        sink.check()


def test_a_channel_is_asked_for_by_its_id_once_that_is_known(slack: FakeSlack, sink: SlackSink) -> None:
    """Also when it was renamed since; the list of all channels is read once."""
    assert sink.check() == ()
    slack.channel().name = "renamed"
    assert sink.check() == ()
    assert len(slack.calls_of("conversations.list")) == 1


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"token_file": "t"},
        {"token_file": "t", "channel": "#"},
        {"token_file": "t", "channel": "#x", "webhook_url_file": "w"},
        {"webhook_url_file": "w", "channel": "#x"},
        {"token_file": "t", "channel": "#x", "base_url": "slack.com/api"},
        {"token_file": "t", "channel": "#x", "tokenfile": "t"},
        {"token_file": "t", "channel": "#x", "timeout": 5},
    ],
)
def test_a_wrong_section_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        SlackParams(**section)


def with_app_token(slack: FakeSlack, tmp_path: Path, token: str) -> Sink:
    for name, text in (("token", TOKEN), ("app", token)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    params = SINK.params(
        token_file=tmp_path / "token",
        app_token_file=tmp_path / "app",
        channel="#db-oncall",
        base_url=slack.url,
    )
    return SINK.made("oncall", params, "", system_now)


def test_an_app_token_that_opens_no_connection_is_said_and_a_rotated_one_is_taken(
    slack: FakeSlack, tmp_path: Path
) -> None:
    """Messages arrive with it, and their buttons do nothing. That Slack is busy says nothing of the token."""
    slack.socket_url = "ws://127.0.0.1:1/link"
    sink = with_app_token(slack, tmp_path, "xapp-of-another-app")
    (found,) = sink.check()
    assert found.slug == "slack-app-token-invalid"
    assert "[sinks.oncall]" in found.fix
    (tmp_path / "app").write_text(slack.app_token, encoding="utf-8")
    assert sink.check() == ()
    slack.inject("apps.connections.open", faults.rate_limited(30))
    assert sink.check() == ()


def test_a_signing_secret_that_is_blank_is_said_before_anybody_presses(
    slack: FakeSlack, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    (tmp_path / "secret").write_text(" \n", encoding="utf-8")
    params = SINK.params(
        token_file=tmp_path / "token",
        signing_secret_file=tmp_path / "secret",
        channel="#db-oncall",
        base_url=slack.url,
    )
    with pytest.raises(SetupError) as caught:
        SINK.made("oncall", params, "", system_now)
    assert [problem.slug for problem in caught.value.problems] == ["sink-secret-file"]
