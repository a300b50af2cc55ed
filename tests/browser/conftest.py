"""One browser for each file of tests: while it runs, no event loop of another kind can."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browsing import Visitor, chromium, visiting
from tests.support.web import World, serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def world() -> Iterator[World]:
    with serving() as world:
        yield world


@pytest.fixture
def visitor(browser: Browser, world: World) -> Iterator[Visitor]:
    """At a desk; unharmed at the end."""
    with visiting(browser, world.url, viewport={"width": 1280, "height": 800}) as visitor:
        yield visitor
        visitor.assert_unharmed()
