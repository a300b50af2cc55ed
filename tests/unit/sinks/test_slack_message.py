"""What a Slack message says, how it fits, and that nothing in it but the route's mention is alive."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.sinks.slack.blocks import used
from alerts.sinks.slack.message import TOTAL_LIMIT, Tier, render
from alerts.sinks.slack.text import mrkdwn, weight
from daemon.demo.fake_slack_text import as_text, links, mentions, notification, styled
from daemon.demo.fake_slack_validate import UPDATE_TEXT_LIMIT, check_content, texts
from pgvigil.model.delivery import ActKind, Told
from pgvigil.model.evidence import Block, BlockKind, Evidence, Figure, Step
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from tests.unit.sinks.samples import BEGAN, MENTION, NOW, TREE, act, delivery, pile_up, resolved

TIERS = list(Tier)


def shown(incident: Incident, **options: Any) -> str:
    return as_text(render(act(), incident, delivery(), **options))


@pytest.mark.parametrize("tier", TIERS)
def test_each_tier_carries_the_diagnosis(tier: Tier) -> None:
    text = shown(pile_up(), tier=tier)
    for expected in (
        "Blocking chain · shop @ orders-prod",
        "23 sessions blocked 4m12s by pid 8123 (idle in transaction)",
        "the pool is full in about 57 s",
        "20:08:01Z (6m04s)",
        "├─ 9011 waits 4m12s",
        "SELECT pg_cancel_backend(9020);",
        "queued behind an idle transaction",
        "env=prod team=payments",
    ):
        assert expected in text


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("incident", [pile_up(), resolved(), pile_up(state=State.UNKNOWN)])
def test_the_last_line_names_incident_rule_and_evaluation_time(tier: Tier, incident: Incident) -> None:
    last = shown(incident, tier=tier).splitlines()[-1]
    assert last.removeprefix("· ") == (
        f"INC-412 · rule blocking_chain · evaluated {incident.evaluated_at:%Y-%m-%dT%H:%M:%S}Z"
    )


def test_the_full_tier_keeps_the_tree_literal_and_whole() -> None:
    assert TREE in list(texts(render(act(), pile_up(), delivery())["blocks"]))


def test_the_phone_shows_severity_place_and_summary() -> None:
    message = render(act(), pile_up(), delivery())
    assert notification(message) == (
        "CRIT shop @ orders-prod: 23 sessions blocked 4m12s by pid 8123 (idle in transaction)"
    )
    long = render(act(), pile_up(summary="s" * 500), delivery())
    assert len(notification(long)) <= 150


def test_metadata_names_the_incident_and_the_act() -> None:
    message = render(act(version=7), pile_up(), delivery())
    assert message["metadata"]["event_type"] == "pgvigil_incident"
    payload = message["metadata"]["event_payload"]
    assert (
        payload.items()
        >= {
            "incident": 412,
            "rule": "blocking_chain",
            "version": 7,
            "act": "412:7:post",
        }.items()
    )


def test_a_resolved_message_says_so_and_collapses() -> None:
    text = shown(resolved())
    assert text.startswith("✅ Resolved after 14m07s · Blocking chain · shop @ orders-prod")
    assert "pid 8123 committed" in text
    assert "pg_terminate_backend" not in text
    assert "├─" not in text
    assert mentions(render(act(ActKind.EDIT), resolved(), delivery())) == ()


def test_an_unknown_message_says_since_when_and_why() -> None:
    dark = pile_up(
        state=State.UNKNOWN,
        reason="lock_waits: connection refused",
        state_since=NOW + timedelta(seconds=10),
        evaluated_at=NOW + timedelta(seconds=70),
    )
    text = shown(dark)
    assert text.startswith("⚪ Unknown")
    assert "Cannot tell since 20:14:15Z: lock_waits: connection refused. Last seen 20:14:05Z" in text
    assert "(6m04s)" in text, "time in which nothing was seen is not counted"


def test_a_part_of_another_incident_points_there_and_calls_nobody() -> None:
    part = pile_up(suppressed_by="INC-409", parent_id=409)
    message = render(act(ActKind.EDIT), part, delivery())
    assert as_text(message).startswith("🔕 Part of INC-409")
    assert "Explained by INC-409, follow that one" in as_text(message)
    assert mentions(message) == ()


@pytest.mark.parametrize(
    ("told", "called", "first"),
    [
        (Told.WORSE, (MENTION,), "🔴 Worse: warning → critical"),
        (Told.REOPENED, (MENTION,), "🔴 Reopened"),
        (Told.STILL, (MENTION,), "🔴 Still firing after "),
        (Told.RESOLVED, (), "✅ Resolved after 14m07s"),
    ],
)
def test_replies_say_what_changed_and_call_only_for_what_is_bad(
    told: Told, called: tuple[str, ...], first: str
) -> None:
    incident = resolved() if told is Told.RESOLVED else pile_up()
    message = render(act(ActKind.REPLY, told), incident, delivery(seen_level=Level.WARNING))
    assert mentions(message) == called
    assert first in as_text(message).splitlines()[0]
    assert "23 sessions blocked" in as_text(message)


def test_the_end_of_a_silence_is_said_where_it_goes_on_and_to_whom_it_is_new() -> None:
    ended = BEGAN + timedelta(minutes=5)
    going_on = pile_up(unattended_since=ended, was_silenced_by="SIL-3")
    said = f"Was silenced by SIL-3 until {ended:%H:%M:%S}Z"
    known = delivery(seen_level=Level.WARNING, told_at=BEGAN)
    assert said in as_text(render(act(ActKind.REPLY, Told.STILL), going_on, known))
    first = as_text(render(act(), going_on, delivery()))
    assert first.startswith("🔴 Still firing")
    assert said in first
    later = render(act(ActKind.REPLY, Told.STILL), going_on, replace(known, told_at=ended))
    assert "Nobody has acknowledged it" in as_text(later)
    hostile = pile_up(unattended_since=ended, was_silenced_by="<!channel> SIL-3")
    assert mentions(render(act(), hostile, delivery())) == (MENTION,)


def test_a_possible_duplicate_says_so() -> None:
    sent_at = datetime(2026, 11, 22, 20, 14, 5, tzinfo=UTC)
    assert "possible duplicate of a send at 20:14:05Z" in shown(pile_up(), possible_duplicate_of=sent_at)


def test_a_date_is_shown_where_it_is_not_that_of_the_message() -> None:
    assert "2026-11-21 20:08Z" in shown(pile_up(pending_since=BEGAN - timedelta(days=1)))


def test_the_incident_is_linked_when_pgvigil_has_an_address() -> None:
    message = render(act(), pile_up(), delivery(), public_url="https://pgvigil.example.com/")
    assert links(message) == ("<https://pgvigil.example.com/incidents/INC-412|INC-412>",)


@pytest.mark.parametrize(
    ("configured", "called"),
    [
        ("<!subteam^S123>", ("<!subteam^S123>",)),
        ("<!here> <@U7>", ("<!here>", "<@U7>")),
        ("@db-oncall", ()),
        ("<https://x.example|click>", ()),
        ("", ()),
    ],
)
@pytest.mark.parametrize("tier", TIERS)
def test_only_mentions_by_id_are_taken_from_the_route(
    configured: str, called: tuple[str, ...], tier: Tier
) -> None:
    message = render(act(), pile_up(), delivery(mention=configured), tier=tier)
    assert mentions(message) == called
    assert links(message) == ()


# --- limits ---------------------------------------------------------------------------------------------------


def stuffed(text: str, *, many: int = 12) -> Incident:
    """An incident with `text` wherever text from outside can stand."""
    evidence = Evidence(
        impact=text,
        figures=tuple(Figure(f"{text[:20]}{n}", text) for n in range(many)),
        blocks=tuple(Block(BlockKind.SQL, text[:400], text) for _ in range(many)),
        cause=text,
        notes=(text,) * many,
    )
    return pile_up(
        summary=text,
        reason=text,
        subject=text,
        target=text[:200],
        database=text[:200],
        rule="blocking_chain",
        evidence=evidence,
        steps=tuple(Step(text, text) for _ in range(many)),
        labels=(("env", text),) * many,
        acknowledged_by=text,
        silenced_by=text,
        peak_value=400.0,
        reopened=3,
    )


def check(message: dict[str, Any], allowed: set[str]) -> None:
    """Within every limit, valid for Slack, and nothing alive in it that the configuration did not put there."""
    check_content(message, text_limit=UPDATE_TEXT_LIMIT)
    assert used(message["blocks"]) <= TOTAL_LIMIT
    assert len(message["blocks"]) <= 50
    assert set(mentions(message)) <= allowed
    assert links(message) == ()
    for style in styled(message):
        assert style.startswith("*"), "only our own labels are styled, and those are bold"


HOSTILE = [
    "<!channel> <!here> <@U123ABC> <#C123|general> <https://evil.example|click>",
    "`code` ```fence``` *bold* _italic_ ~struck~ > quote :fire: :100:",
    "a ```\n<!channel>\n``` b",
    "&lt;!channel&gt; &amp;lt;!channel&amp;gt;",
    "http://evil.example https://evil.example/a?b=c mailto:x@y.example",
    "\u202eright to left\u202c \u2066isolated\u2069 \u200bzero\ufeffwidth \x00\x07\x1b[31mred",
    "lone \ud800 and \udfff surrogates",
    "\U0001f469\u200d\U0001f4bb" * 2000,
    "&<>" * 4000,
    "\n" * 5000 + "x",
    "",
    " \t\r\n",
]


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("told", [None, Told.WORSE, Told.REOPENED, Told.RESOLVED])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text: str, tier: Tier, told: Told | None) -> None:
    incident = stuffed(text)
    kind = ActKind.POST if told is None else ActKind.REPLY
    check(render(act(kind, told), incident, delivery(), tier=tier), {MENTION})
    over = replace(incident, state=State.RESOLVED, resolved_at=NOW)
    check(render(act(kind, told), over, delivery(), tier=tier), {MENTION})


@pytest.mark.parametrize("tier", TIERS)
def test_five_megabytes_of_query_become_one_message_that_says_what_was_cut(tier: Tier) -> None:
    incident = stuffed("SELECT '<!channel>' /* " + "x" * 5_000_000)
    message = render(act(), incident, delivery(), tier=tier)
    check(message, {MENTION})
    assert "more characters" in as_text(message)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("length", [240, 290, 890, 2000])
def test_a_command_is_shown_whole_or_not_at_all(tier: Tier, length: int) -> None:
    commands = [f"DELETE FROM t WHERE id = {n} -- " + "x" * (length - 30) for n in range(12)]
    incident = pile_up(steps=tuple(Step(f"step {n}", sql) for n, sql in enumerate(commands)))
    message = render(act(), incident, delivery(), tier=tier)
    check(message, {MENTION})
    for line in as_text(message).splitlines():
        if "DELETE" in line:
            assert line.removeprefix("│ ") in commands


def test_a_long_tree_is_cut_between_lines_and_says_how_many_are_missing() -> None:
    lines = [f"├─ {pid} waits for ShareLock on public.orders" for pid in range(10_000, 10_400)]
    block = Block(BlockKind.TREE, "Who waits for whom", "\n".join(lines))
    evidence = replace(pile_up().evidence, blocks=(block,))
    text = shown(pile_up(evidence=evidence))
    kept = [line for line in lines if line in text]
    assert kept
    assert f"… {len(lines) - len(kept)} more lines" in text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.text(st.characters(), max_size=400)
    | st.lists(
        st.sampled_from([*HOSTILE[:7], "<", "!", "@", "`", "*", "_", "&", ":", "x y", "\n"]), max_size=30
    ).map("".join),
    tier=st.sampled_from(TIERS),
    repeat=st.integers(1, 40),
    state=st.sampled_from(list(State)),
    suppressed=st.booleans(),
)
def test_whatever_the_text_the_message_is_valid_within_limits_and_calls_nobody(
    text: str, tier: Tier, repeat: int, state: State, suppressed: bool
) -> None:
    incident = replace(
        stuffed(text * repeat), state=state, resolved_at=NOW, suppressed_by=text if suppressed else None
    )
    for kind, told in ((ActKind.POST, None), (ActKind.EDIT, None), (ActKind.REPLY, Told.WORSE)):
        check(render(act(kind, told), incident, delivery(), tier=tier), {MENTION})


@given(st.text(st.characters() | st.sampled_from("*_~` :a"), max_size=200), st.integers(2, 300))
def test_mrkdwn_fits_after_escaping_and_never_ends_within_an_entity(text: str, limit: int) -> None:
    made = mrkdwn(text, limit)
    assert len(made.encode("utf-16-le")) // 2 <= limit
    assert made.count("&") == made.count("&amp;") + made.count("&lt;") + made.count("&gt;")
    assert "<" not in made
    assert styled({"text": made}) == ()


def test_weight_counts_what_slack_counts() -> None:
    assert weight("a&<>") == 1 + 5 + 4 + 4
    assert weight("\U0001f534") == 2


@pytest.mark.parametrize("tier", list(Tier))
def test_who_took_it_on_and_when_stands_in_each_readers_own_time(tier: Tier) -> None:
    taken = pile_up(acknowledged_by="an*a", acknowledged_at=NOW - timedelta(minutes=2))
    message = render(act(), taken, delivery(), tier=tier)
    check_content(message)
    stamp = int((NOW - timedelta(minutes=2)).timestamp())
    said = f"<!date^{stamp}^{{date_short_pretty}} at {{time_secs}}|at 20:12:05Z>"
    assert f"Acknowledged by an\u2217a {said}" in json.dumps(message, ensure_ascii=False)
    assert "Acknowledged by an\u2217a at 20:12:05Z" in as_text(message)


@pytest.mark.parametrize("tier", list(Tier))
def test_who_keeps_it_quiet_and_until_when_stands_there_too(tier: Tier) -> None:
    """A name from a database can neither call people nor close the stamp."""
    quiet = pile_up(
        silenced_by="SIL-3", silencer="mark of <!here>|x>", silenced_until=NOW + timedelta(days=2)
    )
    message = render(act(), quiet, delivery(), tier=tier)
    check_content(message)
    said = "Silenced by SIL-3 (mark of <!here>|x>) until"
    assert f"{said} 2026-11-24 20:14Z" in as_text(message)
    assert "^{date_short_pretty} at {time_secs}|2026-11-24 20:14Z>" in json.dumps(message)
    assert "<!here>" not in json.dumps(message)
