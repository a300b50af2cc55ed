"""Buttons in Slack: what a press becomes, by Socket Mode and by HTTP, and that nothing hostile gets through."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.sinks._secret import SecretFile
from alerts.sinks.slack.api import SlackApi
from alerts.sinks.slack.buttons import buttons
from alerts.sinks.slack.message import Tier, render
from alerts.sinks.slack.pressing import press_in
from alerts.sinks.slack.receiver import SlackReceiver
from alerts.sinks.slack.signature import payload_in, verify
from alerts.sinks.slack.socket_mode import Socket, SocketLimits
from daemon.clock import system_now
from daemon.demo.fake_slack import TOKEN, FakeSlack
from daemon.demo.fake_slack_validate import check_content
from pgvigil.model.action import Action, ActionKind, Door, Outcome, Result, fault_of
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.receiver import NotGenuineError
from tests.support.polling import poll
from tests.support.slack_socket import SlackSocket, actions_of, press
from tests.unit.sinks.samples import act, delivery, pile_up, resolved

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
AT = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
QUICK = SocketLimits(ping_s=0.3, deaf_s=1.0, first_wait_s=0.1, longest_wait_s=0.1)


class Pressed(list[Action]):
    """A desk that does the first of everything."""

    def __call__(self, action: Action) -> Outcome:
        first = action.id not in [one.id for one in self]
        self.append(action)
        return Outcome(Result.DONE if first else Result.ALREADY, pile_up(), "bob was first <!channel>")


@contextmanager
def receiver(
    slack: FakeSlack, tmp_path: Path, desk: Any, *, limits: SocketLimits = QUICK
) -> Iterator[SlackReceiver]:
    token, app, secret = (tmp_path / name for name in ("token", "app", "secret"))
    for path, text in ((token, TOKEN), (app, slack.app_token), (secret, SECRET)):
        path.write_text(text, encoding="utf-8")
    opens = SlackApi(SecretFile(app), slack.url, 2)
    socket = Socket("oncall", lambda: str(opens.call("apps.connections.open", {})["url"]), limits)
    made = SlackReceiver(
        "oncall",
        SlackApi(SecretFile(token), slack.url, 2),
        system_now,
        socket=socket if slack.socket_url else None,
        secret=SecretFile(secret),
    )
    made.start(desk)
    try:
        yield made
    finally:
        made.stop(3)


@pytest.fixture
def link(slack: FakeSlack) -> Iterator[SlackSocket]:
    with SlackSocket() as running:
        slack.socket_url = running.url
        yield running


def block(incident: Incident | None = None) -> dict[str, Any]:
    return buttons(incident or pile_up())[0]


def signed(body: bytes, *, stamp: float | None = None, secret: str = SECRET) -> dict[str, str]:
    at = str(int(time.time() if stamp is None else stamp))
    made = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={made}"}


def form(payload: object) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


# --- what is shown --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", [Tier.FULL, Tier.SIMPLE])
def test_buttons_stand_above_the_last_line_and_slack_takes_them(tier: Tier) -> None:
    message = render(act(), pile_up(), delivery(), tier=tier, answers=True)
    check_content(message)
    kinds = [each["type"] for each in message["blocks"]]
    assert kinds[-2:] == ["actions", "context"]
    assert [one["action_id"] for one in actions_of(message)["elements"]] == [
        "acknowledge",
        "silence",
        "refresh",
        "useful",
        "noise",
    ]


def test_who_acknowledged_can_give_it_back_and_what_is_silenced_is_not_silenced_again() -> None:
    taken = pile_up(acknowledged_by="ana", silenced_by="SIL-1")
    shown = ["unacknowledge", "refresh", "useful", "noise"]
    assert [one["action_id"] for one in block(taken)["elements"]] == shown


def test_what_is_critical_cannot_be_expected() -> None:
    offered = [one["action_id"] for one in block(pile_up(severity=Level.WARNING))["elements"]]
    assert ("expected" in offered, "expected" in [one["action_id"] for one in block()["elements"]]) == (
        True,
        False,
    )


def test_of_what_is_over_people_can_say_whether_it_was_of_use() -> None:
    assert [one["action_id"] for one in block(resolved())["elements"]] == ["useful", "noise"]


def test_what_has_not_fired_has_no_buttons() -> None:
    assert buttons(pile_up(state=State.PENDING)) == []


def test_without_somebody_who_hears_there_are_no_buttons() -> None:
    assert actions_of(render(act(), pile_up(), delivery()))["elements"] == []


# --- what a press becomes -------------------------------------------------------------------------------------


def test_a_press_is_an_action_of_that_person_on_that_incident() -> None:
    found = press_in(press(block(), "acknowledge"), AT)
    assert found is not None
    action = found.action
    assert (action.kind, action.incident_id, action.at) == (ActionKind.ACKNOWLEDGE, 412, AT)
    assert (action.actor.name, action.actor.door, action.actor.id) == ("ana", Door.SLACK, "U00000001")
    assert action.fault == fault_of(pile_up())


@pytest.mark.parametrize(("choice", "for_s"), [("1h", 3600.0), ("24h", 86_400.0), ("resolved", None)])
def test_the_menu_says_for_how_long(choice: str, for_s: float | None) -> None:
    found = press_in(press(block(), "silence", choice=choice), AT)
    assert found is not None
    assert (found.action.kind, found.action.for_s) == (ActionKind.SILENCE, for_s)


def test_the_same_press_again_has_the_same_id_and_another_one_has_another() -> None:
    payloads = [
        press(block(), "acknowledge"),
        press(block(), "acknowledge"),
        press(block(), "acknowledge", stamp="1700000001.000100"),
        press(block(), "acknowledge", user="U00000002"),
    ]
    found = [press_in(payload, AT) for payload in payloads]
    ids = [one.action.id for one in found if one is not None]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "actions", "user", "id", "value", "block_id", "channel", "message"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(payload=_JSON, key=st.sampled_from(["user", "channel", "message", "actions"]))
def test_no_payload_throws_but_a_refusal(payload: object, key: str) -> None:
    for hostile in (payload, press(block(), "acknowledge") | {key: payload}):
        try:
            press_in(hostile, AT)
        except NotGenuineError:
            continue


@given(body=st.binary(max_size=200), stamp=st.text(max_size=15), signature=st.text(max_size=80))
def test_no_request_throws_but_a_refusal(body: bytes, stamp: str, signature: str) -> None:
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}
    with pytest.raises(NotGenuineError):
        verify(SECRET, headers, body, AT)
    try:
        payload_in(body)
    except NotGenuineError:
        return


# --- HTTP -----------------------------------------------------------------------------------------------------


def test_a_signed_request_is_done_and_a_repeat_is_answered(slack: FakeSlack, tmp_path: Path) -> None:
    """The second one is told who was first, where only they see it, and nobody is mentioned."""
    desk, body = Pressed(), form(press(block(), "acknowledge"))
    with receiver(slack, tmp_path, desk) as hears:
        hears.take(signed(body), body)
        hears.take(signed(body), body)
        (told,) = poll(lambda: slack.calls_of("chat.postEphemeral"), 5, message="the second one is told")
    assert [action.kind for action in desk] == [ActionKind.ACKNOWLEDGE] * 2
    assert (told.outcome, told.arguments["user"]) == ("ok", "U00000001")
    assert told.arguments["text"].startswith("bob was first &lt;")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(b"payload=%7B%7D", secret="another"),
        signed(b"payload=%7B%7D", stamp=time.time() - 3600),
        signed(b"payload=%7B%7D", stamp=time.time() + 3600),
        signed(b"something else"),
    ],
)
def test_what_slack_did_not_sign_lately_is_refused(
    headers: dict[str, str], slack: FakeSlack, tmp_path: Path
) -> None:
    desk = Pressed()
    with receiver(slack, tmp_path, desk) as hears, pytest.raises(NotGenuineError):
        hears.take(headers, b"payload=%7B%7D")
    assert desk == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=100) | _JSON.map(form))
def test_what_is_signed_and_makes_no_sense_is_refused_or_left(
    body: bytes, slack: FakeSlack, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    api = SlackApi(SecretFile(tmp_path / "token"), slack.url, 2)
    hears = SlackReceiver("oncall", api, system_now, secret=SecretFile(tmp_path / "secret"))
    try:
        hears.take(signed(body), body)
    except NotGenuineError:
        return


# --- Socket Mode ----------------------------------------------------------------------------------------------


def test_a_press_by_socket_mode_is_acknowledged_to_slack_and_done(
    slack: FakeSlack, link: SlackSocket, tmp_path: Path
) -> None:
    desk = Pressed()
    with receiver(slack, tmp_path, desk):
        poll(lambda: link.connections, 5, message="connected")
        link.push(press(block(), "acknowledge"), "envelope-1")
        poll(lambda: link.acknowledged == ["envelope-1"], 5, message="Slack hears that it came")
        poll(lambda: desk, 5, message="it is done")
    assert len(desk) == 1


def test_a_connection_that_went_deaf_is_rebuilt_and_a_press_that_comes_again_is_once(
    slack: FakeSlack, link: SlackSocket, tmp_path: Path
) -> None:
    """It takes what we send and says nothing: no pong, no close. Slack sends again what was not acknowledged."""
    desk = Pressed()
    with receiver(slack, tmp_path, desk):
        poll(lambda: link.connections, 5, message="connected")
        link.push(press(block(), "acknowledge"), "envelope-1")
        poll(lambda: desk, 5, message="it is done")
        link.go_deaf()
        poll(lambda: link.connections == 2, 8, message="another connection")
        link.push(press(block(), "acknowledge"), "envelope-1")
        poll(lambda: len(desk) == 2, 5, message="it came again")
    assert desk[0].id == desk[1].id, "so that the desk does it once"


def test_a_connection_that_only_answers_pings_is_given_up(slack: FakeSlack, tmp_path: Path) -> None:
    with SlackSocket(greets=False) as link:
        slack.socket_url = link.url
        with receiver(slack, tmp_path, Pressed()):
            poll(lambda: link.connections > 1, 8, message="another connection")


def test_what_was_taken_is_done_also_when_it_stops(slack: FakeSlack, tmp_path: Path) -> None:
    desk = Pressed()
    with receiver(slack, tmp_path, desk) as hears:
        for stamp in ("1.1", "1.2", "1.3"):
            body = form(press(block(), "acknowledge", stamp=stamp))
            hears.take(signed(body), body)
    assert len(desk) == 3


@pytest.mark.parametrize("farewell", ["hangs up", "asks to leave"])
def test_a_connection_that_slack_ends_is_built_anew(
    farewell: str, slack: FakeSlack, link: SlackSocket, tmp_path: Path
) -> None:
    with receiver(slack, tmp_path, Pressed()):
        poll(lambda: link.connections, 5, message="connected")
        if farewell == "hangs up":
            link.hang_up()
        else:
            link.push_text('{"type": "disconnect", "reason": "refresh_requested"}')
        poll(lambda: link.connections == 2, 8, message="connected again")


@pytest.mark.parametrize(
    "text", ["no json", "[]", '"text"', '{"type": "interactive", "envelope_id": 7}', "[" * 9999]
)
def test_an_envelope_that_makes_no_sense_harms_no_other(
    text: str, slack: FakeSlack, link: SlackSocket, tmp_path: Path
) -> None:
    desk = Pressed()
    with receiver(slack, tmp_path, desk):
        poll(lambda: link.connections, 5, message="connected")
        link.push_text(text)
        link.push(press(block(), "acknowledge"), "envelope-2")
        poll(lambda: desk, 5, message="the next one is done")
    assert link.connections == 1


def test_a_desk_that_fails_is_said_and_the_next_press_is_done(slack: FakeSlack, tmp_path: Path) -> None:
    presses: list[Action] = []

    def desk(action: Action) -> Outcome:
        presses.append(action)
        raise OSError("the disk is full")

    body = form(press(block(), "acknowledge"))
    with receiver(slack, tmp_path, desk) as hears:
        for _ in range(2):
            hears.take(signed(body), body)
        poll(lambda: len(slack.calls_of("chat.postEphemeral")) == 2, 5, message="both are told")
    assert len(presses) == 2
    assert "Nothing was changed" in slack.calls_of("chat.postEphemeral")[0].arguments["text"]
