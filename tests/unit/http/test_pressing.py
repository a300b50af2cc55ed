"""Acting from the page: only from a form of one's own session, once, and with what the token may."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.http.tokens import Holder, May, hash_of
from pgvigil.model.action import ActionKind
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.model.marker import Marker
from pgvigil.model.silence import Silence
from tests.support.pressing import Presser
from tests.support.views import T0, incident, view
from tests.support.web import World, serving

HOLDERS = (
    Holder("ana", hash_of("ana-token"), frozenset(May)),
    Holder("bob", hash_of("bob-token"), frozenset({May.READ, May.ACT})),
    Holder("eve", hash_of("eve-token"), frozenset({May.READ})),
)
PAGE = "/incidents/INC-7"
ACT = f"{PAGE}/actions"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def world() -> Iterator[World]:
    with serving(holders=HOLDERS) as world:
        world.publish(view(incidents=(incident(severity=Level.WARNING),)))
        yield world


def visitor(world: World, name: str = "ana") -> Presser:
    presser = Presser(world.url)
    presser.log_in(f"{name}-token")
    return presser


@pytest.fixture
def ana(world: World) -> Presser:
    return visitor(world)


def asked(world: World) -> list[tuple[Any, ...]]:
    return [(one.kind.value, one.actor.name, one.actor.door.value) for one in world.acted]


@pytest.mark.parametrize("kind", ["acknowledge", "useful", "noise", "expected"])
def test_a_press_acts_under_the_name_of_the_token(world: World, ana: Presser, kind: str) -> None:
    answer = ana.press(PAGE, {"action": kind})
    assert answer.status == 303
    assert asked(world) == [(kind, "ana", "page")]
    said = ana.get("/incidents/" + answer.to.removeprefix("../../incidents/"))
    assert '<p id="said" class="said done" role="status" tabindex="-1" autofocus>INC-7: done</p>' in said.text


def test_what_was_done_is_said_to_that_session_alone(world: World, ana: Presser) -> None:
    to = ana.press(PAGE, {"action": "acknowledge"}).to.removeprefix("../..")
    assert 'id="said"' not in visitor(world, "bob").get(to).text
    assert 'id="said"' not in Presser(world.url).get(to).text


def test_from_the_first_page_one_comes_back_to_it_and_sees_what_became_of_it(
    world: World, ana: Presser
) -> None:
    answer = ana.press("/?q=orders&said=old", {"action": "acknowledge"})
    assert answer.to.startswith("../../?q=orders&said=")
    world.publish(view(incidents=(incident(acknowledged_by="ana", acknowledged_at=T0),)))
    text = ana.get("/" + answer.to.removeprefix("../../")).text
    assert "INC-7: done" in text
    assert "Acknowledged by ana" in text
    assert 'value="acknowledge"' not in text


@pytest.mark.parametrize(
    ("typed", "for_s", "worst"),
    [
        ({"for": "4h"}, 14_400.0, None),
        ({"for": "7d", "worse": "warning"}, 604_800.0, Level.WARNING),
        ({"for": "resolved"}, None, None),
    ],
)
def test_silencing_has_an_end_and_may_hold_up_to_a_severity(
    world: World, ana: Presser, typed: dict[str, str], for_s: float | None, worst: Level | None
) -> None:
    assert ana.press(PAGE, {"action": "silence"}, note="known\nfor long", **typed).status == 303
    [action] = world.acted
    assert (action.kind, action.for_s, action.worst) == (ActionKind.SILENCE, for_s, worst)
    assert action.note == "known for long"


def test_the_same_press_twice_is_one_action(ana: Presser, world: World) -> None:
    """Both carry one id; the desk does an id once."""
    path, fields = ana.form(PAGE, action="acknowledge")
    assert [ana.post(path, fields).status for _ in range(2)] == [303, 303]
    assert len({one.id for one in world.acted}) == 1
    assert ana.form(PAGE, action="acknowledge")[1]["press"] != fields["press"]


def test_a_form_of_another_page_or_session_changes_nothing(world: World, ana: Presser) -> None:
    path, fields = ana.form(PAGE, action="acknowledge")
    other = visitor(world, "bob").form(PAGE, action="acknowledge")[1]
    for changed in ({"form": ""}, {"form": "x"}, {"form": other["form"]}):
        answer = ana.post(path, fields | changed)
        assert (answer.status, "load the page again" in answer.text) == (403, True), changed
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": ""},
        {"Origin": f"{world.url}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = ana.post(path, fields, **headers)
        assert (answer.status, "another origin" in answer.text) == (403, True), headers
    assert ana.post(path, fields, **{"Content-Type": "application/json"}).status == 415
    assert world.acted == []
    assert ana.post(path, fields, **{"Sec-Fetch-Site": "same-origin"}).status == 303


def test_without_a_session_one_is_led_to_the_log_in_and_back(world: World, ana: Presser) -> None:
    path, fields = ana.form(PAGE, action="acknowledge")
    nobody = Presser(world.url)
    answer = nobody.post(path, fields)
    assert (answer.status, answer.to) == (303, "../../login?back=incidents%2FINC-7&unsent=1")
    assert "was not done" in nobody.get(answer.to.removeprefix("../..")).text
    assert nobody.log_in(back="incidents/INC-7").to == "./incidents/INC-7"
    assert world.acted == []


def test_only_what_the_token_may_is_shown_and_done(world: World) -> None:
    bob, eve = visitor(world, "bob"), visitor(world, "eve")
    text = bob.get(PAGE).text
    assert ('value="acknowledge"' in text, 'value="silence"' in text) == (True, False)
    assert "<form" not in eve.get(PAGE).text.replace('action="../logout"', "").partition("<main")[2]
    assert "Your token may only read" in eve.get(PAGE).text
    assert "Log in</a> to acknowledge" in Presser(world.url).get(PAGE).text
    for who, kind in ((bob, "silence"), (bob, "expected"), (eve, "acknowledge")):
        form = who.form("/", to="logout")[1]["form"]
        answer = who.post(ACT, {"form": form, "action": kind, "press": "1", "for": "1h"})
        assert (answer.status, "to its `may`" in answer.text) == (403, True), kind
    assert world.acted == []


def test_what_is_over_can_only_be_judged_and_what_has_not_fired_not_at_all(
    world: World, ana: Presser
) -> None:
    over = ana.get("/incidents/INC-8").text
    assert ('value="useful"' in over, 'value="acknowledge"' in over, 'value="silence"' in over) == (
        True,
        False,
        False,
    )
    answer = ana.press("/incidents/INC-8", {"action": "useful"})
    assert 'role="alert"' in ana.get(answer.to.removeprefix("../..")).text
    world.publish(view(incidents=(incident(id=9, state=State.PENDING),)))
    assert "It has not fired" in ana.get("/incidents/INC-9").text


def test_what_is_critical_is_never_expected(world: World, ana: Presser) -> None:
    world.publish(view(incidents=(incident(),)))
    text = ana.get(PAGE).text
    assert ('value="silence"' in text, 'value="expected"' in text, 'name="worse"' in text) == (
        True,
        False,
        False,
    )


def test_a_store_that_cannot_be_written_is_said(world: World, ana: Presser) -> None:
    path, fields = ana.form(PAGE, action="acknowledge")
    world.writable = False
    answer = ana.post(path, fields)
    world.writable = True
    assert "Nothing was changed: the disk is gone" in ana.get(answer.to.removeprefix("../..")).text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"action": "delete"}, "use acknowledge or"),
        ({"action": ""}, "use acknowledge or"),
        ({"press": "a b"}, "use 1 to 64 letters"),
        ({"press": ""}, "use 1 to 64 letters"),
        ({"action": "silence", "for": "tomorrow"}, "use a duration such as"),
        ({"action": "silence", "for": ""}, "use a duration such as"),
        ({"action": "silence", "for": "1h", "worse": "critical"}, "use info or warning"),
        ({"note": "x" * 501}, "at most 500"),
        ({f"field{n}": "1" for n in range(30)}, "at most 20 fields"),
    ],
)
def test_bad_input_is_answered_with_the_way_out(
    world: World, ana: Presser, changes: dict[str, str], said: str
) -> None:
    path, fields = ana.form(PAGE, action="acknowledge")
    answer = ana.post(path, fields | changes)
    assert (answer.status, said in answer.text) == (400, True), answer.text
    assert world.acted == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from((ACT, "/silences/SIL-1/expire", "/login", "/incidents/x/actions")),
    body=st.binary(max_size=100)
    | st.dictionaries(
        st.sampled_from(("action", "press", "note", "for", "worse", "back", "fault", "token")),
        st.text(max_size=30) | st.sampled_from(("silence", "useful", "1h", "9" * 300 + "h", "resolved")),
    ).map(lambda fields: urlencode(fields, errors="replace").encode()),
    ours=st.booleans(),
)
def test_whatever_is_sent_is_answered_and_is_no_internal_error(
    ana: Presser, path: str, body: bytes, ours: bool
) -> None:
    """Also where the form is of this very session."""
    known = urlencode({"form": ana.form("/", to="logout")[1]["form"], "press": "1"}).encode() if ours else b""
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": ana.url}
    answer = ana.send(path, body + b"&" + known, sent)
    assert answer.status in (303, 400, 401, 403, 404, 429), answer.text


@pytest.mark.parametrize("name", ["INC-99", "9" * 40, "x", "%00", "%F0%9F%98%80"])
def test_what_is_not_there_is_not_found(ana: Presser, name: str) -> None:
    fields = ana.form(PAGE, action="acknowledge")[1]
    assert ana.post(f"/incidents/{name}/actions", fields).status == 404
    assert ana.post(f"/silences/{name}/expire", fields).status == 404


def test_silences_are_listed_and_ended_by_whoever_may(world: World, ana: Presser) -> None:
    assert world.sources is not None
    silences = world.sources.silencing.silences
    one = Silence(
        id=0,
        match=(("rule", HOSTILE), ("target", "orders-*")),
        author=HOSTILE,
        reason=HOSTILE,
        created_at=T0,
        ends_at=T0.replace(hour=23),
        worst=Level.WARNING,
    )
    silences.add(one, list)
    for who, shown in ((ana, True), (visitor(world, "bob"), False), (Presser(world.url), False)):
        text = who.get("/").text
        assert HOSTILE not in text
        assert "target=orders-*" in text
        assert "or until it is worse than warning" in text
        assert ("End SIL-1 now" in text) is shown
    answer = ana.press("/", {"to": "silences/SIL-1/expire"})
    assert "SIL-1 has ended, by ana" in ana.get("/" + answer.to.removeprefix("../../")).text
    assert silences.all[0].expired_by == "ana"
    world.publish()
    assert "SIL-1" not in ana.get("/").text
    assert world.followed.is_set()


def test_of_a_silenced_incident_the_silence_is_named_and_can_be_ended(world: World, ana: Presser) -> None:
    assert world.sources is not None
    one = Silence(
        id=0,
        match=(("incident", "INC-7"),),
        author="bob",
        reason="a drill",
        created_at=T0,
        ends_at=T0.replace(hour=23),
    )
    world.sources.silencing.silences.add(one, list)
    world.publish(view(incidents=(incident(silenced_by="SIL-1"),)))
    text = ana.get(PAGE).text
    assert "Silenced by SIL-1 of bob, until <time" in text
    assert ": a drill</p>" in text
    assert 'value="silence"' not in text
    assert ana.press(PAGE, {"to": "../silences/SIL-1/expire"}).to.startswith("../../incidents/INC-7?said=")


def test_names_that_are_markup_are_shown_as_text(world: World) -> None:
    """Of people, silences and markers, and in what is said."""
    assert world.sources is not None
    world.sources.markers.add(
        Marker(id="1", at=T0, text=HOSTILE, author=HOSTILE, match=(("target", HOSTILE),))
    )
    world.keys = replace(world.keys, holders=(Holder(HOSTILE, hash_of("ana-token"), frozenset(May)),))
    hostile = visitor(world)
    world.publish(view(incidents=(incident(acknowledged_by=HOSTILE, summary=HOSTILE),)))
    answer = hostile.press(PAGE, {"action": "useful"}, note=HOSTILE)
    for page in ("/", PAGE, "/login", answer.to.removeprefix("../..")):
        text = hostile.get(page).text
        assert "&lt;script&gt;" in text
        assert HOSTILE not in text


def test_who_found_it_useful_and_why_people_were_told_is_on_its_page(world: World, ana: Presser) -> None:
    ana.press(PAGE, {"action": "noise"})
    ana.press(PAGE, {"action": "useful"})
    text = Presser(world.url).get(PAGE).text
    assert "Useful to ana (page), <time" in text
    assert "Noise to" not in text
    assert "<li>chat: nothing was posted of INC-7</li>" in text
