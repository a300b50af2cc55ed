"""Texts chosen by an enemy, on a real server, through the real daemon, in a real browser: all shown, none run."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgvigil.scratch.server import ScratchServer
from tests.support.browsing import Visitor, visiting
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import server_starter

DATABASE = "<img src=x onerror=window.pwned=1>"
ROLE = "\"'><script>window.pwned=2</script>"
TABLE = "</pre><script>window.pwned=3</script>"
CONSTRAINT = "'><svg/onload=window.pwned=4>\u202e"
APPLICATION = "</code></li></ul><script>window.pwned=5</script>"
COLUMN = "{{7*7}}{% raw %}<iframe src=javascript:parent.pwned=6>"
LABEL = '" autofocus onfocus="window.pwned=7" x="'
MISSING = "<a href=javascript:window.pwned=8>click</a>\u2066"
STYLE = "<style>*{display:none}</style><base href=//x>"

INTRUDE = """(elsewhere) => {
  const put = (kind, change) => document.body.append(Object.assign(document.createElement(kind), change));
  put("script", { textContent: "window.pwned = 10" });
  put("script", { src: elsewhere });
  put("img", { src: elsewhere });
  put("iframe", { src: elsewhere });
  put("div", { innerHTML: "<p onclick='window.pwned=11' style='color:red'>intruder</p>" });
  fetch(elsewhere).catch(() => {});
}"""

CONFIG = """
[[targets]]
name = "shop"
dsn = {dsn}
labels = {{ env = {label} }}
[[targets]]
name = "gone"
dsn = {missing}

[collectors.lock_waits]
interval = "1s"
[collectors.statements]
interval = "1s"
[collectors.constraints]
interval = "1s"
[rules.blocking_chain]
warning = "1s"
[rules.constraint_not_valid]
for = "0s"
[rules.target_down]
for = "0s"
"""


def furnish(server: ScratchServer) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
        admin.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN").format(sql.Identifier(ROLE)))
        for name in (DATABASE, STYLE):
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(make_conninfo(server.dsn(), dbname=DATABASE), autocommit=True) as owner:
        table, constraint = sql.Identifier(TABLE), sql.Identifier(CONSTRAINT)
        owner.execute(sql.SQL("CREATE TABLE {} (id int PRIMARY KEY, v int)").format(table))
        owner.execute(sql.SQL("INSERT INTO {} VALUES (1, 1)").format(table))
        owner.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK (v > 0) NOT VALID").format(table, constraint)
        )


def busy(dsn: str) -> None:
    """A statement that is among the heaviest, with a name in it that is code in several languages."""
    with psycopg.connect(dsn, autocommit=True) as slow:
        slow.execute(sql.SQL("SELECT pg_sleep(0.05) AS {}").format(sql.Identifier(COLUMN)))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """Everything has happened and is on the page."""
    directory: Path = tmp_path_factory.mktemp("hostile")
    with server_starter() as start, ExitStack() as trouble:
        server = start()
        furnish(server)
        config = CONFIG.format(
            dsn=json.dumps(server.dsn()),
            label=json.dumps(LABEL),
            missing=json.dumps(make_conninfo(server.dsn(), dbname=MISSING)),
        )
        whoever = make_conninfo(server.dsn(), dbname=DATABASE, user=ROLE, application_name=APPLICATION)
        change = sql.SQL("UPDATE {} SET v = 2 WHERE id = 1").format(sql.Identifier(TABLE)).as_string()
        daemon = trouble.enter_context(running_daemon(directory, config))
        trouble.enter_context(idle_in_transaction(whoever, change, application_name=APPLICATION))
        trouble.enter_context(blocked_session(whoever, change, application_name=APPLICATION))

        def on_the_page() -> bool:
            busy(whoever)
            text = daemon.get("/")[1]
            rules = ("blocking_chain", "constraint_not_valid", "target_down")
            return "{{7*7}}" in text and all(daemon.incidents(rule, "firing") for rule in rules)

        poll(on_the_page, 120, message="trouble and statements are on the page", interval_s=0.2)
        yield daemon


@pytest.fixture
def visitor(browser: Browser, daemon: RunningDaemon) -> Iterator[Visitor]:
    with visiting(browser, daemon.url, viewport={"width": 375, "height": 800}) as visitor:
        yield visitor
        visitor.assert_unharmed()


def seen(page: Page) -> str:
    """All that a reader can read, unfolded, in one line."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    return re.sub(r"\s+", " ", page.locator("body").inner_text())


CHART = "figure.course > svg:has(> polyline:only-child)"  # what pgvigil draws itself, of numbers


def assert_sober(page: Page) -> None:
    """The document holds the elements that pgvigil's templates have, with the attributes that they have."""
    kinds = set(
        page.evaluate(f"[...document.querySelectorAll('body *:not({CHART})')].map((each) => each.localName)")
    )
    assert kinds.isdisjoint(
        {"script", "img", "svg", "iframe", "style", "base", "object", "embed", "link", "meta"}
    )
    names = set(
        page.evaluate("[...document.querySelectorAll('*')].flatMap((each) => each.getAttributeNames())")
    )
    assert {name for name in names if name.startswith("on") or name in {"autofocus", "style"}} == set()
    links = page.locator("a").evaluate_all("all => all.map((each) => each.protocol)")
    assert set(links) == {"http:"}


def test_every_name_is_shown_as_it_is_and_nothing_of_it_runs(visitor: Visitor) -> None:
    page = visitor.go()
    for name in (DATABASE, TABLE, "'><svg/onload=window.pwned=4>", ROLE, f"env={LABEL}", COLUMN):
        assert re.sub(r"\s+", " ", name) in seen(page)
    assert APPLICATION[:39] in seen(page)  # cut to what a line of the tree has room for
    assert "<a href=javascript:window.pwned=8>click</a>" in seen(page)
    assert_sober(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    hidden = page.evaluate(
        "[...document.body.textContent].filter((c) => /[\\u202a-\\u202e\\u2066-\\u2069\\u200b]/.test(c))"
    )
    assert hidden == []


def test_nor_after_the_script_has_brought_it_anew(visitor: Visitor, daemon: RunningDaemon) -> None:
    """What the script inserts was parsed by the browser, and is as dead as what came with the page."""
    page = visitor.go()
    page.evaluate("document.getElementById('main').replaceChildren()")
    visitor.refresh()
    expect(page.locator("article").first).to_be_attached()
    assert TABLE in seen(page)
    assert_sober(page)


def test_nor_on_the_pages_of_incidents_and_targets(visitor: Visitor, daemon: RunningDaemon) -> None:
    incidents = [one["id"] for one in daemon.incidents()]
    assert len(incidents) >= 3
    for path in (*(f"/incidents/{name}" for name in incidents), "/targets/shop", "/targets/gone"):
        page = visitor.go(path)
        expect(page.locator("h1")).to_be_visible()
        assert_sober(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
        seen(page)
    assert STYLE in seen(visitor.go("/targets/shop"))


@pytest.mark.parametrize(
    "path",
    [
        "/?q=%22%3E%3Cscript%3Ewindow.pwned%3D9%3C/script%3E",
        "/?target=%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D9%3E",
        "/incidents/%3Cscript%3Ewindow.pwned%3D9%3C%2Fscript%3E",
        "/targets/%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D9%3E",
        "/%22%3E%3Cscript%3Ewindow.pwned%3D9%3C%2Fscript%3E",
        "/#%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D9%3E",
    ],
)
def test_nor_what_stands_in_an_address(visitor: Visitor, path: str) -> None:
    page = visitor.go(path)
    expect(page.locator("h1")).to_be_visible()
    assert_sober(page)
    visitor.troubles = [each for each in visitor.troubles if "404" not in each]


def test_what_is_looked_for_is_no_template(visitor: Visitor) -> None:
    page = visitor.go("/?q=%7B%7B7*7%7D%7D%E2%80%AE")
    expect(page.get_by_label("Targets whose name")).to_have_value("{{7*7}}")
    expect(page.get_by_text("0 of 2 targets")).to_be_visible()


def test_the_policy_would_stop_what_got_through_all_the_same(browser: Browser, daemon: RunningDaemon) -> None:
    """The second wall: code in the page is refused by the browser, and nothing can be loaded or sent elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        with visiting(browser, daemon.url) as visitor:
            page = visitor.go()
            page.evaluate(INTRUDE, f"http://127.0.0.1:{elsewhere.getsockname()[1]}/")
            page.get_by_text("intruder").click()
            poll(lambda: page.evaluate("window.refused.length") >= 7, message="all of it is refused")
            assert page.evaluate("typeof window.pwned") == "undefined"
        assert heard(elsewhere) == b""


def heard(listener: socket.socket) -> bytes:
    """What was asked there. The browser may connect ahead of time, and then asks nothing."""
    listener.setblocking(False)
    said = b""
    with suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(2.0)
                with suppress(TimeoutError, ConnectionResetError):
                    said += connection.recv(4096)
    return said


def test_no_other_page_can_frame_it(browser: Browser, daemon: RunningDaemon) -> None:
    with visiting(browser, "http://127.0.0.1") as visitor:
        page = visitor.page
        page.set_content(f"<iframe src='{daemon.url}/'></iframe>")
        poll(
            lambda: any("frame-ancestors" in each for each in visitor.troubles),
            message="the frame is refused",
        )
