"""A session at the page: who gets one, what its cookie is worth, and how it ends."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from daemon.http import patience, sessions
from daemon.http.auth import Keys
from daemon.http.patience import MOST_OF_ONE
from daemon.http.sessions import LIFE_S, Ended, Sessions, Viewer
from daemon.http.sessions import MOST_OF_ONE as MOST_SESSIONS
from daemon.http.tokens import Holder, May, hash_of
from tests.support.pressing import Presser
from tests.support.web import World, serving
from tests.unit.http.test_acting import post as post_to_api

ANA = Holder("ana", hash_of("ana-token"), frozenset(May))
HOLDERS = (ANA, Holder("button", hash_of("act-token"), frozenset({May.ACT})))


@pytest.fixture
def world() -> Iterator[World]:
    with serving(holders=HOLDERS) as world:
        yield world


@pytest.fixture
def ana(world: World) -> Presser:
    return Presser(world.url)


def test_a_token_is_shown_once_and_the_cookie_is_none_of_it(ana: Presser) -> None:
    assert "Log in" in ana.get("/").text
    answer = ana.log_in(back="incidents/INC-7")
    assert (answer.status, answer.to) == (303, "./incidents/INC-7")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    assert "ana" not in cookie
    assert "max-age" not in cookie
    assert "path" not in cookie
    text = ana.get("/").text
    assert "<span>ana</span>" in text
    assert ana.cookie.partition("=")[2] not in text


def test_two_pgvigils_behind_tunnels_do_not_log_each_other_out(ana: Presser) -> None:
    """Browsers send a cookie to every port of a host."""
    names = [
        ana.post("/login", {"token": "ana-token"}, Host=host, Origin=f"http://{host}").headers["set-cookie"]
        for host in ("localhost:9642", "localhost:9643", "localhost", "[::1]")
    ]
    assert [name.partition("=")[0] for name in names] == [
        "pgvigil_session_9642",
        "pgvigil_session_9643",
        "pgvigil_session",
        "pgvigil_session",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "https"},
        {"Origin": "https://pgvigil.example.com", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_by_tls_the_cookie_goes_by_tls_only(ana: Presser, headers: dict[str, str]) -> None:
    answer = ana.post("/login", {"token": "ana-token"}, **headers)
    assert "; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("token", ["", "guessed", "x" * 600, "\x00\u202e\xff", "ana-token-"])
def test_any_other_token_is_refused_with_the_way_out(ana: Presser, token: str) -> None:
    answer = ana.post("/login", {"token": token})
    assert (answer.status, "pgvigil token new" in answer.text) == (401, True)
    assert "set-cookie" not in answer.headers
    assert token == "" or token not in answer.text


def test_a_token_that_may_not_read_gets_no_page(ana: Presser) -> None:
    answer = ana.log_in("act-token")
    assert (answer.status, "Add &#34;read&#34;" in answer.text) == (403, True)
    assert ana.cookie == ""


def test_without_any_token_the_page_says_how_to_make_one() -> None:
    with serving() as world:
        assert "pgvigil token new NAME" in Presser(world.url).get("/login").text


@pytest.mark.parametrize(
    "back", ["https://evil.example", "//evil.example", "/x", "incidents/../..", "javascript:x", "\\\\evil"]
)
def test_nobody_is_led_elsewhere(ana: Presser, back: str) -> None:
    assert ana.log_in(back=back).to == "./"


def test_another_page_cannot_log_anybody_in(ana: Presser) -> None:
    fields = {"token": "ana-token"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = ana.post("/login", fields, **headers)
        assert (answer.status, "set-cookie" in answer.headers) == (403, False), headers
    assert ana.post("/login", fields, **{"Content-Type": "text/plain"}).status == 415


def test_logging_out_ends_it_here_and_not_in_the_browser_only(ana: Presser) -> None:
    ana.log_in()
    assert ana.post("/logout", {"form": "x"}).status == 403
    answer = ana.press("/incidents/INC-7", {"to": "../logout"})
    assert (answer.status, answer.to) == (303, "./")
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert "not logged in any more" in ana.get("/").text


def test_it_lasts_a_shift_and_its_end_is_said(world: World, ana: Presser) -> None:
    ana.log_in()
    world.later_s += LIFE_S - 1
    assert "<span>ana</span>" in ana.get("/").text
    world.later_s += 2
    text = ana.get("/incidents/INC-7").text
    assert "your session ended, as each does after 12h" in text
    assert 'name="form"' not in text


def test_it_ends_with_its_token_and_does_not_come_back_with_it(world: World, ana: Presser) -> None:
    ana.log_in()
    world.keys = Keys(holders=HOLDERS[1:])
    assert "its token is no longer in the configuration" in ana.get("/").text
    world.keys = Keys(holders=HOLDERS)
    assert "its token is no longer in the configuration" in ana.get("/").text


def test_what_a_token_may_counts_as_it_is_now(world: World, ana: Presser) -> None:
    ana.log_in()
    path, fields = ana.form("/incidents/INC-7", action="acknowledge")
    world.keys = Keys(holders=(replace(ANA, may=frozenset({May.READ})),))
    answer = ana.post(path, fields)
    assert (answer.status, "Add &#34;act&#34;" in answer.text) == (403, True)
    assert world.acted == []


def test_the_cookie_alone_changes_nothing_by_the_api(world: World, ana: Presser) -> None:
    """With whatever content type and origin; and with a token for everybody it still reads only."""
    for keys in (Keys(holders=HOLDERS), Keys("page-token", HOLDERS)):
        world.keys = keys
        ana.log_in()
        form = ana.form("/incidents/INC-7", action="acknowledge")[1]["form"]
        for path in ("incidents/INC-7/actions", "silences", "silences/SIL-1/expire", "markers"):
            sent = {"Cookie": ana.cookie, "Origin": world.url, "X-Form": form}
            assert post_to_api(world, path=f"/api/v1/{path}", token=None, **sent)[0] == 401, path
        assert ana.get("/api/v1/incidents").status == 200
    assert world.acted == []


def test_where_a_token_is_asked_of_everybody_a_session_will_do(world: World, ana: Presser) -> None:
    world.keys = Keys("page-token", HOLDERS)
    asked = ana.get("/incidents/INC-7")
    assert (asked.status, '<a href="../login">' in asked.text) == (401, True)
    assert ana.get("/login").status == 200
    assert ana.log_in().status == 303
    assert ana.get("/incidents/INC-7").status == 200
    world.later_s += LIFE_S
    ended = ana.get("/incidents/INC-7")
    assert (ended.status, ended.to) == (303, "../login?back=incidents%2FINC-7")
    assert "as each does after 12h" in ana.get("/login").text


def test_a_link_of_somebody_else_is_followed_once_more_before_a_password_is_asked_for(
    world: World, ana: Presser
) -> None:
    """The browser kept the cookie to itself: the page asks again, by itself."""
    world.keys = Keys("page-token", HOLDERS)
    first = ana.get("/", **{"Sec-Fetch-Site": "cross-site"})
    assert (first.status, "www-authenticate" in first.headers) == (401, False)
    assert 'http-equiv="refresh" content="0"' in first.text
    assert "www-authenticate" in ana.get("/", **{"Sec-Fetch-Site": "same-origin"}).headers


def test_who_guesses_is_held_back_and_nobody_else_is() -> None:
    async def guess() -> list[bool]:
        held = patience.Patience()
        guesses = [asyncio.create_task(held.wrong("10.0.0.1")) for _ in range(MOST_OF_ONE)]
        await asyncio.sleep(0)
        during = [held.exhausted("10.0.0.1"), held.exhausted("10.0.0.2")]
        await asyncio.gather(*guesses)
        return [*during, held.exhausted("10.0.0.1")]

    assert asyncio.run(guess()) == [True, False, False]


def test_while_it_is_held_back_an_address_learns_nothing(
    world: World, ana: Presser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with the right token, at the page and at the API: the answer must not tell."""
    monkeypatch.setattr(patience, "MOST_OF_ONE", 0)
    for token in ("guessed", "ana-token"):
        answer = ana.log_in(token)
        assert (answer.status, "too many wrong tokens" in answer.text) == (429, True)
        assert post_to_api(world, token=token)[0] == 429


def test_sessions_are_few_and_those_of_one_token_displace_no_other() -> None:
    kept = Sessions(lambda: 0.0)
    other = kept.begin(HOLDERS[1])
    first, *_rest = [kept.begin(ANA) for _ in range(MOST_SESSIONS + 1)]
    assert isinstance(kept.of(first, HOLDERS), Ended)
    assert isinstance(kept.of(other, HOLDERS), Viewer)


def test_of_too_many_sessions_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    kept = Sessions(lambda: 0.0)
    cookies = [kept.begin(replace(ANA, sha256=hash_of(str(n)))) for n in range(4)]
    several = [replace(ANA, sha256=hash_of(str(n))) for n in range(4)]
    assert [isinstance(kept.of(one, several), Viewer) for one in cookies] == [False, True, True, True]


def test_nothing_that_opens_a_session_is_kept() -> None:
    kept = Sessions(lambda: 0.0)
    cookie = kept.begin(ANA)
    assert not re.search(re.escape(cookie), repr(vars(kept)))
