"""Acting from the page in a real browser: by key, without script, and by no page of somebody else."""

import pytest
from playwright.sync_api import Browser, Page, expect

from daemon.http.auth import Keys
from daemon.http.tokens import Holder, May, hash_of
from pgvigil.model.level import Level
from tests.browser.test_page_looks import SOUND, STRUCTURE, UNREACHABLE
from tests.support import boards
from tests.support.browsing import Visitor, visiting
from tests.support.views import incident, view
from tests.support.web import World

KEYS = Keys(holders=(Holder("ana", hash_of("ana-token"), frozenset(May)),))


@pytest.fixture(autouse=True)
def _troubled(world: World) -> None:
    world.keys = KEYS
    world.publish(*boards.troubled())


def log_in(visitor: Visitor, path: str = "/login") -> Page:
    page = visitor.go(path)
    page.get_by_label("Your token").fill("ana-token")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    return page


def test_by_key_alone_one_logs_in_and_takes_it_on(visitor: Visitor, world: World) -> None:
    """The browser's own word on where a form comes from is there, and what became of it has the focus."""
    page = visitor.go("/incidents/INC-7")
    page.get_by_role("link", name="Log in").last.press("Enter")
    expect(page.locator("#token")).to_be_focused()
    page.keyboard.type("ana-token")
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/INC-7")
    page.get_by_role("button", name="Acknowledge INC-7").press("Enter")
    expect(page.locator("#said")).to_be_focused()
    expect(page.locator("#said")).to_have_text("INC-7: done")
    assert [(one.kind.value, one.actor.name) for one in world.acted] == [("acknowledge", "ana")]
    visitor.refresh()
    expect(page.get_by_role("button", name="Useful INC-7")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#said")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/incidents/INC-7", "/incidents/INC-9", "/login"])
def test_forms_are_named_in_order_and_no_wider_than_the_screen(visitor: Visitor, path: str) -> None:
    log_in(visitor)
    page = visitor.go(path)
    assert page.evaluate(STRUCTURE) == SOUND
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    nameless = "[...document.querySelectorAll('select,input:not([type=hidden])')].filter((each) => !each.hidden && !each.labels.length)"
    assert page.evaluate(f"{nameless}.length") == 0
    for width in (320, 400, 768, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        assert page.evaluate(UNREACHABLE) == [], width


def test_without_script_one_silences_and_nothing_takes_the_reason_away(
    browser: Browser, world: World
) -> None:
    with visiting(browser, world.url, java_script_enabled=False) as visitor:
        page = log_in(visitor, "/login?back=incidents/INC-9")
        assert "http-equiv" not in page.content()
        page.locator("#silence summary").click()
        page.get_by_label("Nobody is disturbed with INC-9 for").select_option("until it is resolved")
        page.get_by_label("Reason").fill("a drill")
        page.get_by_role("button", name="Silence INC-9").click()
        expect(page.locator("#said")).to_have_text("INC-9: done")
    [action] = world.acted
    assert (action.kind.value, action.for_s, action.worst, action.note) == (
        "silence",
        None,
        Level.WARNING,
        "a drill",
    )


def test_what_is_being_typed_stays_when_the_page_is_refreshed(visitor: Visitor, world: World) -> None:
    log_in(visitor)
    page = visitor.go("/incidents/INC-9")
    page.locator("#silence summary").click()
    page.get_by_label("Nobody is disturbed").select_option("8h")
    page.get_by_label("gets worse").uncheck()
    page.get_by_label("Reason").fill("half a sen")
    world.publish(view(incidents=(boards.slow(summary="slower still"),)))
    visitor.refresh()
    expect(page.locator("h1")).to_contain_text("slower still")
    page.get_by_label("Reason").press_sequentially("tence")
    page.get_by_role("button", name="Silence INC-9").click()
    expect(page.locator("#said")).to_be_visible()
    [action] = world.acted
    assert (action.for_s, action.worst, action.note) == (8 * 3600.0, None, "half a sentence")


def test_the_end_of_a_session_shows_by_itself(visitor: Visitor, world: World) -> None:
    page = log_in(visitor)
    world.keys = Keys()
    visitor.refresh()  # one that is already under way tells what was before, and the next comes by itself
    told = page.get_by_text("its token is no longer in the configuration")
    expect(told).to_be_visible(timeout=15_000)
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_a_page_of_somebody_else_cannot_press(browser: Browser, world: World) -> None:
    """Even one that knows all that stands in the form."""
    with visiting(browser, world.url) as visitor:
        page = log_in(visitor, "/login?back=incidents/INC-7")
        form = page.locator("form").filter(has=page.get_by_role("button", name="Acknowledge INC-7"))
        stolen = form.evaluate("(each) => each.outerHTML").replace("../", f"{world.url}/")
        page.goto("about:blank")
        page.set_content(stolen)
        with page.expect_navigation() as answered:
            page.get_by_role("button").click()
        assert answered.value.status == 403
        expect(page.locator("main")).to_contain_text("A page of another origin may not act here")
        assert world.acted == []
        visitor.go("/incidents/INC-7").get_by_role("button", name="Acknowledge INC-7").click()
        expect(page.locator("#said")).to_be_visible()


def test_a_link_in_a_message_finds_whoever_is_logged_in(browser: Browser, world: World) -> None:
    """Where a token is asked of everybody: the first request has no cookie, the second one does."""
    world.keys = Keys("page-token", KEYS.holders)
    with visiting(browser, world.url) as visitor:
        page = log_in(visitor)
        page.goto("about:blank")
        page.set_content(f'<a href="{world.url}/incidents/INC-7">INC-7</a>')
        page.get_by_role("link").click()
        expect(page.get_by_role("button", name="Acknowledge INC-7")).to_be_visible()


def test_what_was_done_shows_to_those_who_see_the_page_anyway(visitor: Visitor, world: World) -> None:
    page = visitor.go("/incidents/INC-7")
    world.publish(view(incidents=(incident(acknowledged_by="bob"),)))
    visitor.refresh()
    expect(page.get_by_text("Acknowledged by bob")).to_be_visible()
