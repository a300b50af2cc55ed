"""A silence in somebody's own words: a form that Slack takes, and whatever is sent of it is an action or is said."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.sinks.slack.custom import Opening, Wrong, opening_in, submitted_in
from alerts.sinks.slack.pressing import Press
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_validate import SlackFailure
from daemon.demo.fake_slack_views import check_answer, check_view
from daemon.demo.fake_slack_workspace import Workspace
from pgvigil.model.action import ActionKind, Door, fault_of
from pgvigil.model.level import Level
from pgvigil.receiver import NotGenuineError
from tests.support.polling import poll
from tests.support.slack_socket import SlackSocket, press, submit
from tests.unit.sinks.samples import pile_up
from tests.unit.sinks.test_slack_receiver import AT, Pressed, block, form, receiver, signed


@pytest.fixture
def link(slack: FakeSlack) -> Iterator[SlackSocket]:
    with SlackSocket() as running:
        slack.socket_url = running.url
        yield running


def opening(severity: Level = Level.WARNING) -> Opening:
    shown = block(pile_up(severity=severity))
    found = opening_in(press(shown, "silence", choice=f"custom:{severity.word}", trigger="1.2.abc"))
    assert found is not None
    return found


def view(severity: Level = Level.WARNING) -> dict[str, Any]:
    return {**opening(severity).view, "id": "V1"}


def sent(filled: dict[str, str], severity: Level = Level.WARNING) -> Press | Wrong | None:
    return submitted_in(submit(view(severity), filled), AT)


@pytest.mark.parametrize("severity", [Level.INFO, Level.WARNING, Level.CRITICAL])
def test_slack_takes_the_form(severity: Level) -> None:
    made = opening(severity).view
    check_view(made)
    assert made["title"]["text"] == "Silence INC-412"
    offered = [
        one["value"]
        for each in made["blocks"]
        if each["block_id"] == "worst"
        for one in each["element"]["options"]
    ]
    assert offered == {"info": ["info", "warning"], "warning": ["warning"], "critical": []}[severity.word]


def test_a_number_that_is_too_long_for_a_title_is_left_out_of_it() -> None:
    shown = block(pile_up(id=10**14))
    found = opening_in(press(shown, "silence", choice="custom:critical"))
    assert found is not None
    check_view(found.view)


def test_what_is_filled_in_is_an_action_of_that_person_on_that_incident() -> None:
    found = sent({"for": "90m", "worst": "warning", "reason": "new\ndisks *now*"})
    assert isinstance(found, Press)
    action = found.action
    assert (action.kind, action.incident_id, action.fault) == (ActionKind.SILENCE, 412, fault_of(pile_up()))
    assert (action.for_s, action.worst, action.note) == (5400.0, Level.WARNING, "new disks *now*")
    assert (action.actor.name, action.actor.door, found.channel) == ("ana", Door.SLACK, "C00000001")


def test_until_it_is_resolved_needs_no_duration() -> None:
    found = sent({"for": "", "until": "resolved", "reason": "known"})
    assert isinstance(found, Press)
    assert (found.action.for_s, found.action.worst) == (None, None)


def test_the_same_form_sent_again_is_the_same_action() -> None:
    one, again = sent({"reason": "known"}), sent({"reason": "known"})
    other = submitted_in(submit({**view(), "id": "V2"}, {"reason": "known"}), AT)
    assert isinstance(one, Press)
    assert isinstance(again, Press)
    assert isinstance(other, Press)
    assert one.action.id == again.action.id != other.action.id


@pytest.mark.parametrize(
    "lasts", ["", "tomorrow", "5", "10s", "8d", "-2h", "99999999999999999999d", "1e9h", "\u202e2h"]
)
def test_a_duration_that_cannot_be_is_said_at_its_field(lasts: str) -> None:
    found = sent({"for": lasts, "reason": "known"})
    assert isinstance(found, Wrong)
    check_answer(view(), found.answer)
    assert found.errors == {"for": "Write 30m, 2h or 3d: at least 1m, at most 7d."}


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = sent({"for": "soon", "reason": "  \u200b "})
    assert isinstance(found, Wrong)
    assert set(found.errors) == {"for", "reason"}
    check_answer(view(), found.answer)


@pytest.mark.parametrize(
    "about",
    ["", "{", "[]", "7", "[" * 9999, json.dumps({"about": "pgvigil:1:x:1"}), json.dumps({"about": 1})],
)
def test_a_form_of_nothing_known_is_refused(about: str) -> None:
    with pytest.raises(NotGenuineError):
        submitted_in(submit({**view(), "private_metadata": about}, {"reason": "known"}), AT)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["state", "values", "for", "value", "reason", "selected_option", "id", "user"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(
    hostile=_JSON,
    key=st.sampled_from(["user", "view"]),
    inner=st.sampled_from(["state", "id", "private_metadata"]),
)
def test_no_form_throws_but_a_refusal(hostile: object, key: str, inner: str) -> None:
    payload = submit(view(), {"reason": "known"})
    for sent_so in (payload | {key: hostile}, payload | {"view": {**payload["view"], inner: hostile}}):
        try:
            submitted_in(sent_so, AT)
        except NotGenuineError:
            continue


def test_the_fake_opens_a_form_once_and_soon() -> None:
    at = time.time()
    space = Workspace(clock=lambda: at)
    first, late = space.trigger(), space.trigger()
    space.open_view(first, view())
    for trigger in (first, "nonsense"):
        with pytest.raises(SlackFailure, match="_trigger_id"):
            space.open_view(trigger, view())
    at += 4
    with pytest.raises(SlackFailure, match="expired_trigger_id"):
        space.open_view(late, view())


def test_by_both_ways_in_the_form_opens_and_what_is_wrong_in_it_is_answered_at_once(
    slack: FakeSlack, link: SlackSocket, tmp_path: Path
) -> None:
    """The answer to Slack itself carries the errors; a good form is an action, and a late wish is said."""
    desk = Pressed()
    shown = block(pile_up(severity=Level.WARNING))
    with receiver(slack, tmp_path, desk) as hears:
        poll(lambda: link.connections, 5, message="connected")
        wish = press(shown, "silence", choice="custom:warning", trigger=slack.workspace.trigger())
        link.push(wish, "envelope-1")
        (opened,) = poll(lambda: slack.workspace.views, 5, message="the form is open")
        link.push(submit(opened, {"for": "soon", "reason": "known"}), "envelope-2")
        poll(lambda: "envelope-2" in link.acknowledged, 5, message="it is answered")
        check_answer(opened, link.answers["envelope-2"])
        body = form(submit(opened, {"for": "9d", "reason": "known"}))
        answer = hears.take(signed(body), body)
        assert answer is not None
        check_answer(opened, answer)
        assert desk == []
        body = form(submit(opened, {"for": "3h", "reason": "known"}))
        assert hears.take(signed(body), body) is None
        (done,) = poll(lambda: desk, 5, message="it is done")
        assert (done.kind, done.for_s, done.note) == (ActionKind.SILENCE, 10_800.0, "known")
        link.push(wish, "envelope-3")  # its trigger is used
        (told,) = poll(lambda: slack.calls_of("chat.postEphemeral"), 5, message="it is said")
        assert told.arguments["text"].startswith("The form could not be opened")
