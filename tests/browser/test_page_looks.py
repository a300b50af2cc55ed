"""The page fits every screen, can be used by keyboard and by ear, and is there without its script."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from daemon.board import TargetView
from tests.support import boards
from tests.support.browsing import STRANGER, Visitor, visiting
from tests.support.views import incident, view
from tests.support.web import World, serving

SCENES: dict[str, Callable[[], tuple[TargetView, ...]]] = {
    "nothing": tuple,
    "quiet": lambda: (view(collectors=boards.read(), incidents=(), problems=(), waiters=0),),
    "troubled": boards.troubled,
    "fleet": boards.fleet,
    "storm": boards.storm,
}
PATHS = ("/", "/incidents/INC-7", "/incidents/INC-8", "/targets/orders-prod", "/incidents/INC-404")

# Regions that scroll sideways and that the keyboard cannot get to.
UNREACHABLE = """() => [...document.querySelectorAll("body *")].filter((each) =>
  each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX === "auto" && each.tabIndex < 0
).map((each) => each.outerHTML)"""


@pytest.mark.parametrize("scene", SCENES)
def test_nothing_is_wider_than_the_screen(browser: Browser, world: World, scene: str) -> None:
    """What is too wide scrolls in a region of its own, which the keyboard can reach."""
    world.publish(*SCENES[scene]())
    with visiting(browser, world.url) as visitor:
        for path in PATHS if scene == "troubled" else PATHS[:1]:
            page = visitor.go(path)
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            for width in (320, 375, 768, 1440):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
                assert page.evaluate(UNREACHABLE) == [], (path, width)
        visitor.troubles = [each for each in visitor.troubles if "404" not in each]
        visitor.assert_unharmed()


def test_the_lock_tree_is_a_tree(visitor: Visitor, world: World) -> None:
    """Each session stands inside the one that it waits for, and the root is named."""
    world.publish(*boards.troubled())
    page = visitor.go()
    root = page.locator("#INC-7 .tree > li")
    expect(root).to_have_count(1)
    expect(root.locator("> .session")).to_contain_text("pid 8123")
    expect(root.locator("> .session")).to_contain_text("root blocker")
    queued = root.locator("> ul > li").filter(has_text="pid 9020")
    expect(queued.locator("> .session")).to_contain_text("waits 3m48s for AccessExclusive on invoices")
    expect(queued.locator("> ul > li")).to_have_count(4)
    expect(queued.locator("> ul > li").last).to_have_text("14 more behind pid 9020")


def test_what_is_part_of_an_incident_stands_with_it(visitor: Visitor, world: World) -> None:
    world.publish(*boards.troubled())
    page = visitor.go()
    expect(page.locator("#INC-7 #INC-20")).to_be_visible()
    assert page.locator("article").evaluate_all("all => all.map((each) => each.id)") == [
        "INC-12",
        "INC-7",
        "INC-9",
        "INC-11",
    ]
    expect(page).to_have_title("4 open incidents - pgvigil")


STRUCTURE = """() => {
  const levels = [...document.querySelectorAll("h1,h2,h3,h4")].map((each) => Number(each.localName[1]));
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const named = (each) => each.getAttribute("aria-label") || each.textContent.trim() || (each.labels && each.labels.length);
  return {
    language: document.documentElement.lang,
    first: levels.filter((level) => level === 1).length,
    jumps: levels.filter((level, at) => at && level > levels[at - 1] + 1).length,
    landmarks: ["header", "main", "footer", "nav"].filter((name) => document.querySelectorAll(name).length !== 1),
    twice: ids.filter((id, at) => ids.indexOf(id) !== at),
    unnamed: [...document.querySelectorAll("a,button,input:not([type=hidden],[hidden]),summary,[role=region]")].filter((each) => !named(each)).length,
    lost: [...document.querySelectorAll("[aria-labelledby]")].filter(
      (each) => !document.getElementById(each.getAttribute("aria-labelledby"))).length,
    headless: [...document.querySelectorAll("table")].filter(
      (each) => !each.caption || !each.querySelector("th[scope=col]")).length,
    styled: document.querySelectorAll("[style],style,[onclick],[onload]").length,
  };
}"""
SOUND = {
    "language": "en",
    "first": 1,
    "jumps": 0,
    "landmarks": [],
    "twice": [],
    "unnamed": 0,
    "lost": 0,
    "headless": 0,
    "styled": 0,
}


@pytest.mark.parametrize("scene", SCENES)
def test_headings_landmarks_and_names_are_in_order(visitor: Visitor, world: World, scene: str) -> None:
    """What a screen reader goes by."""
    world.publish(*SCENES[scene]())
    for path in PATHS[:4] if scene == "troubled" else PATHS[:1]:
        assert visitor.go(path).evaluate(STRUCTURE) == SOUND, path


def focused(page: Page) -> str:
    """What has the focus, in a few words; empty at the document itself."""
    found: str = page.evaluate(
        "(() => { const at = document.activeElement; return at === document.body ? '' :"
        " at.localName + ' ' + (at.getAttribute('aria-label') || at.textContent.trim() || at.id).slice(0, 60); })()"
    )
    return found


def test_everything_is_reached_by_tab_in_order_visibly_and_left_again(visitor: Visitor, world: World) -> None:
    world.publish(*boards.troubled())
    page = visitor.go()
    wanted = page.evaluate(
        "[...document.querySelectorAll('a[href],button,input,summary,[tabindex=\"0\"]')]"
        ".filter((each) => each.checkVisibility({contentVisibilityAuto: true})).length"
    )
    places = []
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        if not focused(page):
            break
        places.append(focused(page))
        width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 2, f"the focus does not show on {places[-1]}"
    assert places[0].startswith("a Skip to the incidents")
    assert len(places) == wanted
    assert (
        page.evaluate("[...document.querySelectorAll('*')].filter((each) => each.tabIndex > 0).length") == 0
    )


def test_the_skip_link_leads_past_the_top(visitor: Visitor, world: World) -> None:
    world.publish(*boards.troubled())
    page = visitor.go()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert "legacy does not answer" in page.evaluate("document.activeElement.textContent")


def test_an_account_is_folded_and_unfolded_by_key(visitor: Visitor, world: World) -> None:
    world.publish(*boards.troubled())
    page = visitor.go()
    page.locator("#INC-7 summary").focus()
    page.keyboard.press("Space")
    expect(page.locator("#INC-7 .tree")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#INC-7 .tree")).to_be_visible()


def test_nothing_moves_for_those_who_ask_for_less_motion(visitor: Visitor, world: World) -> None:
    world.publish(*boards.troubled())
    page = visitor.go()
    moving = "[...document.querySelectorAll('*')].filter((each) => { const s = getComputedStyle(each); return"
    moving += " s.scrollBehavior === 'smooth' || s.animationName !== 'none' || parseFloat(s.transitionDuration) > 0; })"
    assert page.evaluate(f"{moving}.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_light_and_dark(browser: Browser, world: World, scheme: Any) -> None:
    world.publish(*boards.troubled())
    with visiting(browser, world.url, color_scheme=scheme) as visitor:
        page = visitor.go()
        channels = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert (min(map(int, channels[:3])) > 200) is (scheme == "light")


def test_without_script_everything_is_there_and_it_reloads_itself(browser: Browser, world: World) -> None:
    world.publish(*boards.fleet())
    with visiting(browser, world.url, java_script_enabled=False) as visitor:
        page = visitor.go()
        expect(page.locator("h1")).to_have_text("5 open incidents")
        assert page.locator("noscript").inner_html() == '<meta http-equiv="refresh" content="15">'
        expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        expect(page.locator("#target-db-004")).to_be_hidden()
        page.get_by_text("195 targets without trouble").click()
        expect(page.locator("#target-db-004")).to_be_visible()


def test_many_targets_are_filtered_without_script(browser: Browser, world: World) -> None:
    world.publish(*boards.fleet())
    with visiting(browser, world.url, java_script_enabled=False) as visitor:
        page = visitor.go()
        page.get_by_label("Targets whose name or label has").fill("shard=19")
        page.keyboard.press("Enter")
        page.wait_for_url("**/?q=shard%3D19")
        expect(page.get_by_text("11 of 200 targets")).to_be_visible()
        assert page.locator("tbody th a").all_inner_texts() == [
            "db-019",
            *(f"db-{number}" for number in range(190, 200)),
        ]
        page.get_by_role("link", name="Show all").click()
        expect(page.get_by_label("Targets whose name or label has")).to_have_value("")
        page.goto(world.url + "/?target=db-007")
        expect(page.get_by_text("1 of 200 targets, named db-007")).to_be_visible()
        assert page.locator("article").count() == 1


def test_a_message_of_old_leads_to_the_incident_also_when_it_is_over(visitor: Visitor, world: World) -> None:
    """Messages once linked to a place on the first page, where an incident is only while it is open."""
    world.publish(*boards.troubled())
    page = visitor.go("/#INC-8")
    page.wait_for_url("**/incidents/INC-8")
    expect(page.locator("h1")).to_contain_text("INC-8")
    expect(page.get_by_text("nobody waits any more")).to_be_visible()


def test_behind_a_path_of_a_proxy_every_link_still_leads_somewhere(visitor: Visitor, world: World) -> None:
    """All links are relative: the page may be at https://ops.example.com/pgvigil/."""
    world.publish(*boards.troubled())
    for path in PATHS[:4]:
        page = visitor.go(path)
        links = page.locator("[href],[src],[action]").evaluate_all(
            "all => all.map((each) => each.getAttribute('href') || each.getAttribute('src') || each.getAttribute('action'))"
        )
        inside = [link for link in links if link != "https://grafana.example.com"]
        assert inside
        assert [link for link in inside if link.startswith("/") or ":" in link] == []
        for link in {link for link in inside if not link.startswith("#")}:
            assert page.request.get(page.evaluate("(link) => new URL(link, location.href).href", link)).ok, (
                link
            )


def test_what_is_not_there_is_said_on_a_page(visitor: Visitor) -> None:
    for path, said in (("/incidents/INC-404", "no incident INC-404"), ("/targets/x", "no target x")):
        page = visitor.go(path)
        expect(page.locator("main")).to_contain_text(said)
    visitor.troubles.clear()  # the console says 404, too


def test_a_stranger_s_name_for_this_machine_shows_nothing(browser: Browser, world: World) -> None:
    """DNS rebinding: the browser believes that it is at a stranger's site, and may read what it gets."""
    world.publish(*boards.troubled())
    port = world.url.rpartition(":")[2]
    with visiting(browser, f"http://{STRANGER}:{port}") as visitor:
        answer = visitor.page.goto(f"http://{STRANGER}:{port}/")
        assert answer is not None
        assert answer.status == 421
        expect(visitor.page.locator("body")).to_contain_text("allowed_hosts")
        expect(visitor.page.locator("body")).not_to_contain_text("8123")


def test_a_browser_signs_in_with_the_token_and_the_script_goes_on_with_it(browser: Browser) -> None:
    with serving(token="s3cret-token") as world:
        world.publish(*boards.troubled())
        credentials = {"username": "anyone", "password": "s3cret-token"}
        with visiting(browser, world.url, http_credentials=credentials) as visitor:
            page = visitor.go()
            expect(page.locator("h1")).to_have_text("4 open incidents")
            world.publish(view(incidents=(incident(id=30),)))
            visitor.refresh()
            expect(page.locator("#INC-30")).to_be_visible()
            visitor.assert_unharmed()
