"""A real browser, as people use it, that keeps an account of everything it should never have to do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.reporting import not_run

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
STRANGER = "pgvigil-stranger.example"  # a name that somebody else owns, pointed at this machine
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1",
)
# Refusals by the policy are reported to the page; the marker is what hostile texts of tests try to set.
WATCH = """
window.refused = [];
document.addEventListener("securitypolicyviolation", (e) => window.refused.push(e.violatedDirective + " " + e.blockedURI));
"""
HARMED = "() => [typeof window.pwned, ...(window.refused ?? [])]"


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that this machine has; none is ever downloaded."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        not_run("no chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """One person's window. `page` is at pgvigil; what went wrong in it is in `troubles`."""

    context: BrowserContext
    home: str
    page: Page = field(init=False)
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.add_init_script(WATCH)
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.page.on("console", lambda said: self._note(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self._note(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def go(self, path: str = "/") -> Page:
        self.page.goto(self.home + path)
        return self.page

    def refresh(self) -> None:
        """Have the page ask again now, as it does when somebody comes back to it."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def assert_unharmed(self) -> None:
        """Nothing ran that is not pgvigil's, nothing was refused, and nothing was asked of anybody else."""
        for frame in self.page.frames:
            assert frame.evaluate(HARMED) == ["undefined"]
        assert len(self.page.frames) == 1
        assert self.troubles == []

    def _note(self, trouble: str) -> None:
        self.troubles.append(trouble)

    def _dialog(self, dialog: Any) -> None:
        self._note(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith(self.home + "/"):
            self._note(f"asked elsewhere: {request.url}")


@contextmanager
def visiting(browser: Browser, home: str, **options: Any) -> Iterator[Visitor]:
    """A fresh window with the browser's own options: viewport, color_scheme, java_script_enabled ..."""
    context = browser.new_context(**{"reduced_motion": "reduce", **options})
    try:
        yield Visitor(context, home)
    finally:
        context.close()
