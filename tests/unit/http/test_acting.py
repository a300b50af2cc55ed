"""Acting through the API: only with a named token that may, never by a form, and never a 500 for what is sent."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.http.app import MOST_BODY_BYTES
from daemon.http.tokens import Holder, May, hash_of
from tests.support.web import World, serving

HOLDERS = (
    Holder("ana", hash_of("ana-token"), frozenset({May.READ, May.ACT})),
    Holder("grafana", hash_of("read-token"), frozenset({May.READ})),
    Holder("button", hash_of("act-token"), frozenset({May.ACT})),
)
PATH = "/api/v1/incidents/INC-7/actions"
ACK = b'{"action": "acknowledge"}'


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    with serving(holders=HOLDERS) as world:
        yield world


@pytest.fixture
def world(served: World) -> World:
    served.acted.clear()
    return served


def post(
    world: World, body: bytes = ACK, path: str = PATH, token: str | None = "ana-token", **headers: str
) -> tuple[int, dict[str, Any]]:
    sent = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(world.url + path, body, {**sent, **headers}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_token_that_may_act_acts_under_its_own_name(world: World) -> None:
    body = {"action": "acknowledge", "id": "press-1", "note": " on\nit ", "door": "cli"}
    status, answer = post(world, json.dumps(body).encode())
    assert (status, answer["result"], answer["incident"]["id"]) == (200, "done", "INC-7")
    [action] = world.acted
    assert (action.id, action.actor.name, action.actor.door) == ("press-1", "ana", "cli")
    assert (action.incident_id, action.note) == (7, "on it")


def test_without_a_name_or_the_right_nobody_acts(world: World) -> None:
    assert post(world, token=None)[0] == 401
    assert post(world, token="wrong")[0] == 401
    status, answer = post(world, token="read-token")
    assert (status, 'add "act"' in answer["error"]) == (403, True)
    assert world.acted == []


def test_no_page_of_another_can_forge_it(world: World) -> None:
    """A password that a browser sends by itself counts for reading only; a form cannot say JSON; an origin shows."""
    basic = "Basic " + "YW5hOmFuYS10b2tlbg=="  # ana:ana-token
    assert post(world, token=None, Authorization=basic)[0] == 401
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert post(world, **{"Content-Type": kind})[0] == 415
    for origin in ("https://evil.example", "null", "http://[", f"{world.url}.evil.example"):
        assert post(world, Origin=origin)[0] == 403
    assert world.acted == []
    assert post(world, Origin=world.url)[0] == 200


def test_whoever_may_act_and_not_read_learns_nothing_of_the_incident() -> None:
    with serving("page-token", HOLDERS) as world:
        status, answer = post(world, token="act-token")
        assert (status, answer["result"], "incident" in answer) == (200, "done", False)
        for token, expected in (
            ("act-token", 401),
            ("read-token", 200),
            ("ana-token", 200),
            ("page-token", 200),
        ):
            assert world.get("/api/v1/incidents", Authorization=f"Bearer {token}")[0] == expected
        assert post(world, token="page-token")[0] == 401
        assert post(world, token=None)[0] == 401


def test_what_is_over_is_refused_and_what_is_not_there_is_not_found(world: World) -> None:
    assert post(world, path="/api/v1/incidents/INC-8/actions")[0] == 409
    assert post(world, path="/api/v1/incidents/INC-99/actions")[0] == 404
    assert post(world, path="/api/v1/incidents/" + "9" * 40 + "/actions")[0] == 404
    assert world.get(PATH)[0] == 405


def test_a_store_that_cannot_be_written_is_said(world: World) -> None:
    world.writable = False
    try:
        status, answer = post(world)
    finally:
        world.writable = True
    assert (status, answer["error"]) == (503, "nothing was changed: the disk is gone")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON"),
        (b"[" * 15_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "one JSON object"),
        (b"{}", '"action" is null: use acknowledge or unacknowledge'),
        (b'{"action": "delete"}', '"action" is "delete": use acknowledge or unacknowledge'),
        (
            b'{"action": "acknowledge", "who": "bob"}',
            '"who" is "bob": unknown key; use action, id, note, door',
        ),
        (b'{"action": "acknowledge", "door": "slack"}', '"door" is "slack": use api or cli'),
        (b'{"action": "acknowledge", "id": "a b"}', '"id" is "a b": use 1 to 64 letters'),
        (b'{"action": "acknowledge", "id": 7}', '"id" is 7: use 1 to 64 letters'),
        (b'{"action": "acknowledge", "note": 7}', '"note" is 7: use text of at most 500'),
        (b'{"action": "acknowledge", "\\ud800": "\\udfff"}', '"\\ud800" is "\\udfff": unknown key'),
    ],
)
def test_bad_input_names_key_value_and_the_way_out(world: World, body: bytes, said: str) -> None:
    status, answer = post(world, body)
    assert status == 400
    assert said in answer["error"]
    assert world.acted == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
).map(lambda value: json.dumps({"action": "acknowledge", "note": value}).encode()))  # fmt: skip
def test_whatever_is_sent_is_answered_and_is_no_internal_error(world: World, body: bytes) -> None:
    assert post(world, body)[0] in (200, 400)


def test_a_body_that_is_too_long_or_breaks_off_is_turned_away(world: World) -> None:
    assert post(world, b"x" * (MOST_BODY_BYTES + 1))[0] == 413
    host, port = world.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as half:
        head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer ana-token\r\nContent-Length: 50\r\n"
        half.sendall(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
    assert world.get("/healthz")[0] == 200
    assert world.acted == []
