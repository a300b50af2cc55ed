"""The fake Slack answers slack-sdk as Slack does: what stands on it is only as good as this."""

import threading
import urllib.error
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import TOKEN, FakeSlack
from daemon.demo.fake_slack_text import as_text, links, mentions, styled


@pytest.fixture
def client(slack: FakeSlack) -> WebClient:
    return WebClient(token=TOKEN, base_url=slack.url, timeout=2, retry_handlers=[])


def error_of(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(*args, **kwargs)
    return str(caught.value.response["error"])


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def test_a_message_is_posted_by_name_edited_and_read_back_with_its_metadata(
    slack: FakeSlack, client: WebClient
) -> None:
    metadata = {"event_type": "pgvigil_incident", "event_payload": {"incident": 1}}
    posted = client.chat_postMessage(
        channel="#db-oncall", text="one", blocks=[section("one")], metadata=metadata
    )
    channel, ts = posted["channel"], posted["ts"]
    client.chat_update(channel=channel, ts=ts, text="two")
    [held] = client.conversations_history(channel=channel, include_all_metadata=True)["messages"]
    assert held["text"] == "two"
    assert held["blocks"] == [section("one")], "an update keeps the blocks that it does not mention"
    assert held["metadata"] == metadata
    assert "metadata" not in client.conversations_history(channel=channel)["messages"][0]
    assert slack.messages()[0]["edited"]


def test_stamps_are_unique_and_rise_even_when_the_clock_stands_still() -> None:
    slack = FakeSlack(clock=lambda: 1_700_000_000.0)
    stamps = [slack.workspace.next_ts() for _ in range(50)]
    assert stamps == sorted(set(stamps))


def test_replies_are_in_the_thread_and_only_broadcasts_in_the_channel(
    slack: FakeSlack, client: WebClient
) -> None:
    root = client.chat_postMessage(channel="db-oncall", text="root")
    channel, ts = root["channel"], root["ts"]
    client.chat_postMessage(channel=channel, text="quiet", thread_ts=ts)
    client.chat_postMessage(channel=channel, text="loud", thread_ts=ts, reply_broadcast=True)
    history = client.conversations_history(channel=channel)["messages"]
    assert [message["text"] for message in history] == ["loud", "root"]
    thread = client.conversations_replies(channel=channel, ts=ts)["messages"]
    assert [message["text"] for message in thread] == ["root", "quiet", "loud"]
    assert [message["text"] for message in slack.replies(ts)] == ["quiet", "loud"]


def test_lists_come_in_pages(slack: FakeSlack, client: WebClient) -> None:
    for number in range(7):
        slack.workspace.add_channel(f"team-{number}")
    slack.workspace.page_size = 3
    names = [c["name"] for page in client.conversations_list(limit=100) for c in page["channels"]]
    assert names == ["db-oncall", *(f"team-{number}" for number in range(7))]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "x", "blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("")]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("&lt;" * 3000)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x" * 2900)] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        (
            {
                "text": "x",
                "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
            },
            "invalid_blocks",
        ),
        (
            {"text": "x", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]},
            "invalid_blocks",
        ),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "lone \ud800"}, "invalid_json"),
    ],
)
def test_what_slack_refuses_is_refused(
    slack: FakeSlack, client: WebClient, message: dict[str, Any], error: str
) -> None:
    got = error_of(client.api_call, "chat.postMessage", json={"channel": "db-oncall", **message})
    assert got == error
    assert slack.messages() == ()


def test_channels_and_tokens_fail_as_slack_says(slack: FakeSlack, client: WebClient) -> None:
    assert error_of(client.chat_postMessage, channel="nowhere", text="x") == "channel_not_found"
    slack.channel().is_archived = True
    assert error_of(client.chat_postMessage, channel="db-oncall", text="x") == "is_archived"
    slack.channel().is_archived, slack.channel().is_member = False, False
    assert error_of(client.chat_postMessage, channel="db-oncall", text="x") == "not_in_channel"
    slack.revoked.add(TOKEN)
    assert error_of(client.auth_test) == "token_revoked"
    slack.revoked.clear()
    slack.token = "xoxb-other"
    assert error_of(client.auth_test) == "invalid_auth"


def test_a_missing_scope_is_named(slack: FakeSlack, client: WebClient) -> None:
    slack.workspace.scopes = frozenset({"chat:write"})
    with pytest.raises(SlackApiError) as caught:
        client.conversations_history(channel=slack.channel().id)
    assert caught.value.response["error"] == "missing_scope"
    assert caught.value.response["needed"] == "channels:history"


def test_a_deleted_message_cannot_be_edited_nor_answered(slack: FakeSlack, client: WebClient) -> None:
    root = client.chat_postMessage(channel="db-oncall", text="root")
    slack.delete_as_human(root["ts"])
    where = {"channel": root["channel"], "text": "x"}
    assert error_of(client.chat_update, ts=root["ts"], **where) == "message_not_found"
    assert error_of(client.chat_postMessage, thread_ts=root["ts"], **where) == "thread_not_found"


def test_a_rate_limit_carries_its_header(slack: FakeSlack, client: WebClient) -> None:
    slack.inject("chat.postMessage", faults.rate_limited(7))
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel="db-oncall", text="x")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "7"
    client.chat_postMessage(channel="db-oncall", text="x")
    assert len(slack.messages()) == 1


@pytest.mark.parametrize(("accepted", "held"), [(False, 0), (True, 1)])
def test_a_connection_is_dropped_before_or_after_the_message_was_accepted(
    slack: FakeSlack, client: WebClient, accepted: bool, held: int
) -> None:
    slack.inject("chat.postMessage", faults.drop(accepted=accepted))
    with pytest.raises(ConnectionError):
        client.chat_postMessage(channel="db-oncall", text="x")
    assert len(slack.messages()) == held


def test_an_answer_can_hang(slack: FakeSlack) -> None:
    slack.inject("chat.postMessage", faults.hang(accepted=True))
    with pytest.raises(TimeoutError):
        WebClient(token=TOKEN, base_url=slack.url, timeout=1, retry_handlers=[]).chat_postMessage(
            channel="db-oncall", text="x"
        )
    assert len(slack.messages()) == 1


def test_an_error_page_is_not_json(slack: FakeSlack, client: WebClient) -> None:
    slack.inject_always("*", faults.http_error(502))
    assert "non-JSON" in error_of(client.auth_test)
    slack.clear()
    assert client.auth_test()["ok"]


def test_it_comes_back_after_an_outage_with_everything_in_it(slack: FakeSlack, client: WebClient) -> None:
    client.chat_postMessage(channel="db-oncall", text="before")
    slack.stop()
    with pytest.raises(urllib.error.URLError):
        client.chat_postMessage(channel="db-oncall", text="during")
    slack.start()
    client.chat_postMessage(channel="db-oncall", text="after")
    assert [message["text"] for message in slack.messages()] == ["before", "after"]


def test_it_is_reached_where_a_proxy_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("NO_PROXY", "internal.example")
    monkeypatch.setenv("no_proxy", "internal.example")
    with FakeSlack() as slack:
        assert WebClient(token=TOKEN, base_url=slack.url, retry_handlers=[]).auth_test()["ok"]


def test_a_webhook_answers_with_words(slack: FakeSlack) -> None:
    hook = WebhookClient(slack.webhook_url, retry_handlers=[])
    assert (hook.send(text="x").status_code, hook.send(text="x").body) == (200, "ok")
    assert hook.send(text="").body == "no_text"
    slack.revoke_webhook()
    assert (hook.send(text="x").status_code, hook.send(text="x").body) == (404, "no_service")
    assert len(slack.messages()) == 2


def test_listeners_hear_of_each_change(slack: FakeSlack, client: WebClient) -> None:
    heard: list[tuple[str, str]] = []
    both = threading.Event()

    def listen(what: str, message: dict[str, Any]) -> None:
        heard.append((what, message["text"]))
        if len(heard) == 2:
            both.set()

    slack.on_change(listen)
    root = client.chat_postMessage(channel="db-oncall", text="one")
    client.chat_update(channel=root["channel"], ts=root["ts"], text="two")
    assert both.wait(5)
    assert heard == [("posted", "one"), ("edited", "two")]


def test_the_call_log_keeps_no_token(slack: FakeSlack, client: WebClient) -> None:
    client.api_call("auth.test", params={"token": TOKEN})
    client.chat_postMessage(channel="db-oncall", text="x")
    assert [call.method for call in slack.calls] == ["auth.test", "chat.postMessage"]
    assert TOKEN not in repr(slack.calls)


def test_text_shows_what_slack_shows() -> None:
    literal = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "a <b>\n*c*"}]}
    message = {
        "text": "ignored",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Head"}},
            section("*bold* of <https://x.example|place> &amp; <!subteam^S1>"),
            {"type": "rich_text", "elements": [literal]},
        ],
    }
    assert as_text(message).splitlines() == [
        "Head",
        "─────",
        "bold of place (https://x.example) & @S1",
        "│ a <b>",
        "│ *c*",
    ]


def test_what_is_alive_in_a_message_is_told_from_what_is_literal() -> None:
    text = {"type": "text", "text": "<!channel> *x* https://x.example"}
    dead = {
        "text": "&lt;!channel&gt;",
        "blocks": [
            {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": [text]}]}
        ],
    }
    assert (mentions(dead), links(dead), styled(dead)) == ((), (), ())
    alive = {"text": "<!channel> <@U1> *x* https://x.example", "blocks": []}
    assert mentions(alive) == ("<!channel>", "<@U1>")
    assert links(alive) == ("<https://x.example>",)
    assert styled(alive) == ("*x*",)
