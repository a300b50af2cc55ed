"""What a digest looks like in Slack, that it fits whatever it holds, and how its thread is used."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.sinks.slack.digest import LINES, render_digest
from alerts.sinks.slack.message import Tier
from alerts.sinks.slack.sink import SlackSink
from alerts.sinks.slack.webhook import WebhookSink
from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text, links, mentions, notification
from daemon.demo.fake_slack_validate import check_content
from pgvigil.model.delivery import (
    ActKind,
    CannotLookError,
    Delivery,
    DeliveryError,
    DeliveryFailure,
    Told,
)
from pgvigil.model.digest import Digest, DigestCause, Line, Section
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.units import format_duration
from tests.unit.sinks.samples import BEGAN, MENTION, NOW, act, delivery, pile_up, resolved

SINCE, UNTIL = BEGAN - timedelta(hours=2), NOW - timedelta(seconds=3)
ROOT = {"channel": "C1", "ts": "1700000000.000100"}


def line(number: int, note: str = "", remote: Mapping[str, str] | None = None, **changes: Any) -> Line:
    return Line(incident=pile_up(id=number, **changes), note=note, remote=remote or {})


def digest(*sections: Section, **changes: Any) -> Digest:
    plain = Digest(
        id=4,
        part=1,
        title="pgvigil was away for 2h06m",
        since=SINCE,
        until=UNTIL,
        footer="From 2026-11-22 18:08Z to 2026-11-22 20:14Z nobody looked.",
        sections=sections
        or (
            Section("New", (line(413),)),
            Section(
                "Still firing",
                (
                    line(409, "worse: warning → critical", ROOT),
                    line(402, state=State.UNKNOWN, reason="connection refused", severity=Level.WARNING),
                    line(401, severity=Level.WARNING, evaluated_at=SINCE),
                ),
                31,
            ),
            Section("Resolved meanwhile", (Line(incident=resolved(id=411)),)),
        ),
        mention=MENTION,
    )
    return replace(plain, **changes)


@pytest.mark.parametrize("tier", list(Tier))
def test_every_tier_says_it_all(tier: Tier) -> None:
    text = as_text(render_digest(digest(), tier=tier))
    for expected in (
        "📋 pgvigil was away for 2h06m",
        "1 new, 34 still firing, 1 resolved meanwhile",
        "🔴 INC-413 Blocking chain · shop @ orders-prod · for 6m04s · 23 sessions blocked 4m12s by pid 8123",
        "INC-409 Blocking chain · shop @ orders-prod · worse: warning → critical",
        "⚪ INC-402 Blocking chain · shop @ orders-prod · for 6m04s · cannot tell (connection refused), was 23",
        "🟠 INC-401 Blocking chain · shop @ orders-prod · not looked at again yet",
        "… and 31 more: pgvigil incidents list",
        "✅ INC-411 Blocking chain · shop @ orders-prod · lasted 14m07s, was 23 sessions",
        "From 2026-11-22 18:08Z to 2026-11-22 20:14Z nobody looked.",
    ):
        assert expected in text, text
    check_content(render_digest(digest(), tier=tier))


def test_the_phone_shows_the_counts() -> None:
    assert notification(render_digest(digest())) == (
        "pgvigil was away for 2h06m: 1 new, 34 still firing, 1 resolved meanwhile"
    )


@pytest.mark.parametrize("tier", list(Tier))
def test_it_calls_whom_the_routes_call(tier: Tier) -> None:
    assert mentions(render_digest(digest(), tier=tier)) == (MENTION,)


def test_an_id_leads_to_its_message_or_to_the_page() -> None:
    known = render_digest(
        digest(), public_url="https://pv.example.com/", workspace_url="https://w.slack.com/"
    )
    assert links(known)[:2] == (
        "<https://pv.example.com/#INC-413>",
        "<https://w.slack.com/archives/C1/p1700000000000100>",
    )
    in_thread = Line(incident=pile_up(), remote=ROOT, thread=ROOT | {"ts": "1600000000.000100"})
    message = render_digest(digest(Section("New", (in_thread,))), workspace_url="https://w.slack.com/")
    assert links(message) == (
        "<https://w.slack.com/archives/C1/p1700000000000100?thread_ts=1600000000.000100&cid=C1>",
    )
    assert links(render_digest(digest(), workspace_url="javascript:alert(1)//")) == ()


HOSTILE = st.text(min_size=0, max_size=3000) | st.sampled_from(
    ["<!channel> <https://evil.example|x>", "\x1b[2J\u202e\ud800", "&" * 3000, "😀" * 3000, "`" * 3000]
)


@pytest.mark.parametrize("tier", list(Tier))
@settings(max_examples=40, deadline=None)
@given(summary=HOSTILE, place=HOSTILE)
def test_it_fits_whatever_it_holds_and_nothing_in_it_is_alive(tier: Tier, summary: str, place: str) -> None:
    lines = tuple(line(n, remote=ROOT, summary=summary, target=place, reason=summary) for n in range(LINES))
    full = digest(
        *(Section(name, lines[at::3], 999) for at, name in enumerate(["New", "Still firing", "Over"]))
    )
    message = render_digest(full, tier=tier, workspace_url="https://w.slack.com/", possible_duplicate_of=NOW)
    check_content(message)
    assert mentions(message) == (MENTION,)
    assert all("slack.com/archives/C1/" in found for found in links(message))
    json.dumps(message).encode()


# --- sent -------------------------------------------------------------------------------------------------


def told(sink: SlackSink) -> Delivery:
    """A new incident after the digest: it has no message yet."""
    return delivery(thread=sink.tell(digest()), seen_state=State.FIRING, seen_level=Level.CRITICAL)


def test_a_new_incident_is_posted_below_the_digest_and_calls_nobody_again(
    slack: FakeSlack, sink: SlackSink
) -> None:
    row = told(sink)
    handle = sink.perform(act(), pile_up(), row)
    [root] = slack.roots()
    [own] = slack.replies(root["ts"])
    assert handle == {"channel": slack.channel().id, "ts": own["ts"]}
    assert "subtype" not in own, "not in the channel as well"
    assert mentions(own) == ()
    sink.perform(act(ActKind.EDIT), pile_up(summary="41 sessions"), replace(row, remote=handle))
    assert "41 sessions" in as_text(slack.replies(root["ts"])[0])
    assert mentions(slack.replies(root["ts"])[0]) == ()


@pytest.mark.parametrize("what", [Told.WORSE, Told.REOPENED, Told.RESOLVED])
def test_what_follows_stands_in_the_digests_thread_and_says_of_what_it_speaks(
    slack: FakeSlack, sink: SlackSink, what: Told
) -> None:
    row = told(sink)
    row = replace(row, remote=sink.perform(act(), pile_up(), row))
    now = resolved() if what is Told.RESOLVED else pile_up()
    assert sink.perform(act(ActKind.REPLY, what, 9), now, row) == row.remote
    [root] = slack.roots()
    _, reply = slack.replies(root["ts"])
    assert ("subtype" in reply) == (what is not Told.RESOLVED), "news is shown in the channel, an end is not"
    assert "Blocking chain · shop @ orders-prod · INC-412" in as_text(reply).splitlines()[0]


def test_what_got_worse_before_its_own_post_is_shown_in_the_channel(
    slack: FakeSlack, sink: SlackSink
) -> None:
    sink.perform(act(told=Told.WORSE), pile_up(), told(sink))
    assert slack.messages()[-1]["subtype"] == "thread_broadcast"
    assert mentions(slack.messages()[-1]) == (MENTION,)


def test_a_post_in_the_thread_that_may_have_arrived_is_found_there(slack: FakeSlack, sink: SlackSink) -> None:
    row = replace(told(sink), act_key=act().key, act_at=datetime.now(UTC))
    assert sink.find(act(), pile_up(), row) is None
    slack.inject("chat.postMessage", faults.drop(accepted=True))
    with pytest.raises(DeliveryError):
        sink.perform(act(), pile_up(), row)
    assert sink.find(act(), pile_up(), row) == {
        "channel": slack.channel().id,
        "ts": slack.messages()[-1]["ts"],
    }


def test_a_digest_that_may_have_arrived_is_found_by_its_key(slack: FakeSlack, sink: SlackSink) -> None:
    slack.inject("chat.postMessage", faults.drop(accepted=True))
    with pytest.raises(DeliveryError) as caught:
        sink.tell(digest())
    assert caught.value.kind is DeliveryFailure.AMBIGUOUS
    at = datetime.now(UTC)
    assert sink.find_digest(digest(), at) == {"channel": slack.channel().id, "ts": slack.roots()[0]["ts"]}
    assert sink.find_digest(digest(part=2), at) is None
    assert sink.find_digest(digest(since=SINCE + timedelta(seconds=1)), at) is None, "another pgvigil's"
    metadata = slack.roots()[0]["metadata"]
    assert (metadata["event_type"], metadata["event_payload"]["digest"]) == ("pgvigil_digest", 4)


def test_a_refused_form_falls_back_to_a_simpler_one(slack: FakeSlack, sink: SlackSink) -> None:
    slack.inject("chat.postMessage", faults.api_error("invalid_blocks"), times=2)
    sink.tell(digest())
    [root] = slack.roots()
    assert root["blocks"] == []
    assert "INC-413" in as_text(root)


def test_refused_in_every_form_it_is_rejected(slack: FakeSlack, sink: SlackSink) -> None:
    slack.inject("chat.postMessage", faults.api_error("invalid_blocks"), times=3)
    with pytest.raises(DeliveryError) as caught:
        sink.tell(digest())
    assert caught.value.kind is DeliveryFailure.REJECTED


def test_a_thread_that_is_gone_is_said_to_be(slack: FakeSlack, sink: SlackSink) -> None:
    row = told(sink)
    slack.delete_as_human(row.thread["ts"])
    with pytest.raises(DeliveryError) as caught:
        sink.perform(act(), pile_up(), row)
    assert caught.value.kind is DeliveryFailure.GONE


def test_the_workspaces_address_is_learned_at_the_start(slack: FakeSlack, sink: SlackSink) -> None:
    sink.check()
    sink.tell(digest())
    assert links(slack.roots()[0]) == ("<https://fake.slack.com/archives/C1/p1700000000000100>",)


def retold(title: str = "Alert storm: 36 incidents on 2 targets in 3m, 30 still firing") -> Digest:
    """The same as it is later, in a storm."""
    return replace(digest(Section("Still firing", (line(413),), 29)), title=title, cause=DigestCause.STORM)


def test_of_a_storm_the_message_is_edited_in_place_and_nobody_is_called(
    slack: FakeSlack, sink: SlackSink
) -> None:
    handle = sink.tell(digest())
    sink.retell(retold(), handle)
    [root] = slack.roots()
    text = as_text(root)
    assert text.startswith("🌩 Alert storm: 36 incidents on 2 targets in 3m, 30 still firing")
    assert f"for {format_duration((UNTIL - line(413).incident.pending_since).total_seconds())}" in text
    assert "not looked at again yet" not in text
    assert "resolved meanwhile" not in text.lower()
    assert root["edited"]


def test_an_edit_that_is_refused_falls_back_to_a_simpler_form(slack: FakeSlack, sink: SlackSink) -> None:
    handle = sink.tell(digest())
    slack.inject("chat.update", faults.api_error("invalid_blocks"), times=2)
    sink.retell(retold(), handle)
    [root] = slack.roots()
    assert root["blocks"] == [], "the blocks of before would say what is no longer so"
    assert "30 still firing" in as_text(root)


def test_the_edit_of_a_message_that_people_deleted_says_so(slack: FakeSlack, sink: SlackSink) -> None:
    handle = sink.tell(digest())
    slack.delete_as_human(handle["ts"])
    with pytest.raises(DeliveryError) as caught:
        sink.retell(retold(), handle)
    assert caught.value.kind is DeliveryFailure.GONE


def test_a_webhook_posts_it_and_cannot_look(slack: FakeSlack, webhook: WebhookSink) -> None:
    assert webhook.tell(digest(), possible_duplicate_of=NOW) == {}
    [root] = slack.roots()
    assert "1 new, 34 still firing, 1 resolved meanwhile" in as_text(root)
    assert "possible duplicate of a send at 20:14:05Z" in as_text(root)
    with pytest.raises(CannotLookError):
        webhook.find_digest(digest(), NOW)
