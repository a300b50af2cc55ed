"""The page keeps itself current without taking anything out of its reader's hands."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import boards
from tests.support.browsing import Visitor, visiting
from tests.support.views import T0, incident, view
from tests.support.web import World, serving

EVERY_MS = 5000
HIDE = "(hidden) => { Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true }); }"


@pytest.fixture
def page(visitor: Visitor, world: World) -> Page:
    """At a page with a pile-up on it."""
    world.publish(*boards.troubled())
    return visitor.go()


def test_new_figures_come_by_themselves(visitor: Visitor, world: World) -> None:
    world.publish(*boards.troubled())
    visitor.page.clock.install()
    page = visitor.go()
    expect(page.locator("#as-of")).to_have_text("20:00:02 UTC")
    world.publish(view(incidents=(boards.pile_up(summary="24 sessions blocked"),)))
    page.clock.run_for(EVERY_MS + 100)
    expect(page.locator("#INC-7 h3")).to_contain_text("24 sessions blocked")
    expect(page.locator("#as-of")).to_have_text("20:00:04 UTC")
    expect(page).to_have_title("3 open incidents - pgvigil")


def test_what_was_folded_stays_folded_and_what_was_unfolded_stays_so(
    visitor: Visitor, world: World, page: Page
) -> None:
    page.locator("#INC-7 summary").click()
    page.locator("#INC-11 summary").click()
    world.publish(view(incidents=(boards.pile_up(summary="changed"), boards.slow())))
    visitor.refresh()
    expect(page.locator("#INC-7 h3")).to_contain_text("changed")
    expect(page.locator("#INC-7 .tree")).to_be_hidden()
    expect(page.locator("#INC-11 .notice").first).to_be_visible()


def test_the_focus_stays_where_it_was_though_worse_comes_before_it(
    visitor: Visitor, world: World, page: Page
) -> None:
    page.locator("#INC-9 summary").focus()
    at = page.evaluate("(window.was = document.activeElement).closest('article').id")
    worse = (incident(id=40, summary="worse"), incident(id=41, summary="worse still"))
    world.publish(view(incidents=(*worse, boards.pile_up(), boards.slow(summary="slower"))))
    visitor.refresh()
    expect(page.locator("#INC-40")).to_be_visible()
    expect(page.locator("#INC-9 h3")).to_contain_text("slower")
    assert page.evaluate("document.activeElement === window.was && window.was.closest('article').id") == at


def test_the_focus_of_what_went_away_is_not_lost_at_the_top(
    visitor: Visitor, world: World, page: Page
) -> None:
    page.locator("#INC-9 summary").focus()
    world.publish(view(incidents=(boards.pile_up(),)))
    visitor.refresh()
    expect(page.locator("#INC-9")).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_reader_stays_at_the_same_place(visitor: Visitor, world: World, page: Page) -> None:
    page.evaluate("window.scrollTo(0, 1500)")
    place = page.locator("#targets").bounding_box()
    world.publish(
        view(incidents=(boards.pile_up(summary="changed"), boards.part(20), boards.part(21), boards.slow()))
    )
    visitor.refresh()
    expect(page.locator("#INC-7 h3")).to_contain_text("changed")
    assert page.locator("#targets").bounding_box() == place


def test_a_selection_is_not_changed_while_it_is_one(visitor: Visitor, world: World, page: Page) -> None:
    """Also when the very text changes; that is shown once nothing is selected any more."""
    select = "(at) => getSelection().selectAllChildren(document.querySelector(at))"
    page.evaluate(select, "#INC-7 .steps pre")
    chosen = page.evaluate("getSelection().toString()")
    same = boards.pile_up()
    steps = (replace(same.steps[0], sql="SELECT 'something else'"), *same.steps[1:])
    world.publish(view(incidents=(replace(same, summary="changed", steps=steps),)))
    visitor.refresh()
    expect(page.locator("#INC-7 h3")).to_contain_text("changed")
    assert page.evaluate("getSelection().toString()") == chosen
    page.evaluate("getSelection().removeAllRanges()")
    world.publish()
    visitor.refresh()
    expect(page.locator("#INC-7 .steps pre").first).to_have_text("SELECT 'something else';")


def test_typing_is_not_disturbed(visitor: Visitor, world: World) -> None:
    world.publish(*boards.fleet())
    page = visitor.go()
    page.get_by_label("Targets whose name").click()
    page.keyboard.type("db-1")
    world.publish(boards.troubled()[0])
    visitor.refresh()
    expect(page.locator("#INC-7")).to_be_visible()
    page.keyboard.type("99")
    expect(page.get_by_label("Targets whose name")).to_have_value("db-199")


def test_after_any_number_of_changes_it_is_what_a_fresh_look_would_show(
    browser: Browser, visitor: Visitor, world: World, page: Page
) -> None:
    """Incidents and targets come, go, and change places."""
    few, many = boards.fleet(6), boards.fleet(30)
    for views in (few, boards.storm(30), many, boards.troubled(), boards.storm(3)):
        for known in world.board.targets:
            world.board.withdraw(known.name)
        world.publish(*views)
        visitor.refresh()
        expect(page.locator("#as-of")).to_have_attribute("datetime", world.now().utc.isoformat())
        with visiting(browser, world.url) as other:
            unfold = "document.querySelectorAll('details').forEach((each) => { each.open = false; })"
            body = "document.getElementById('live').outerHTML"
            page.evaluate(unfold)
            other.go().evaluate(unfold)
            assert page.evaluate(body) == other.page.evaluate(body)


def test_nothing_is_asked_while_nobody_looks(visitor: Visitor, world: World) -> None:
    world.publish(*boards.troubled())
    page = visitor.page
    page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.resource_type))
    visitor.go()
    page.evaluate(HIDE, True)
    page.clock.run_for(20 * EVERY_MS)
    assert "fetch" not in asked
    world.publish(view(incidents=(incident(id=50),)))
    page.evaluate(HIDE, False)
    visitor.refresh()
    expect(page.locator("#INC-50")).to_be_visible()


def test_a_daemon_that_does_not_answer_is_said_and_so_is_its_return(browser: Browser) -> None:
    """With the time of what still stands there."""
    with serving() as world:
        world.publish(*boards.troubled())
        with visiting(browser, world.url) as visitor:
            page = visitor.go()
            expect(page.get_by_role("status")).to_be_hidden()
            page.context.route("**/*", lambda route: route.abort("connectionrefused"))
            visitor.refresh()
            told = page.locator("#refresh")
            expect(told).to_have_text("Not refreshed since 20:00:02 UTC: it does not answer.")
            expect(told).to_be_in_viewport()
            page.context.unroute("**/*")
            page.context.route("**/*", lambda route: route.fulfill(status=503, body="no"))
            visitor.refresh()
            expect(told).to_have_text("Not refreshed since 20:00:02 UTC: it answers 503.")
            page.context.unroute("**/*")
            visitor.refresh()
            expect(told).to_be_hidden()


def test_another_version_s_page_is_loaded_whole(visitor: Visitor, page: Page) -> None:
    """After an upgrade the script of before must not tend the page of now."""
    page.evaluate("window.stayed = true")
    stale = page.content().replace('data-assets="', 'data-assets="0')
    page.context.route(
        visitor.home + "/", lambda route: route.fulfill(body=stale, content_type="text/html"), times=1
    )
    with page.expect_navigation():
        visitor.refresh()
    assert page.evaluate("typeof window.stayed") == "undefined"


@pytest.fixture
def allowed(browser: Browser, world: World) -> Iterator[Visitor]:
    """Somebody whose browser lets pages write to the clipboard."""
    world.publish(*boards.troubled())
    with visiting(browser, world.url, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        yield visitor


def test_a_step_is_copied_as_it_stands(allowed: Visitor) -> None:
    page = allowed.go()
    page.get_by_role("button", name="Copy the SQL of step 3").first.press("Enter")
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == boards.pile_up().steps[2].command


def test_without_a_clipboard_the_step_is_selected_for_the_keyboard(visitor: Visitor, page: Page) -> None:
    """Browsers give pages none without https."""
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy the SQL of step 3").first.click()
    expect(page.get_by_text("Selected: press Ctrl+C")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == boards.pile_up().steps[2].command


def test_the_stamp_is_of_the_daemon_s_clock(visitor: Visitor, world: World, page: Page) -> None:
    assert page.locator("#as-of").get_attribute("datetime") == T0.replace(second=2).isoformat()
