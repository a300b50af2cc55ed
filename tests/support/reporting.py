"""Tests that a machine cannot run say so, and are listed at the end of the run."""

import os
from typing import NoReturn

import pytest

PREFIX = "not run: "
STRICT = "PGVIGIL_TEST_STRICT"


def not_run(reason: str, *, mendable: bool = True) -> NoReturn:
    """End the test because this machine lacks something; with PGVIGIL_TEST_STRICT=1 that is a failure, unless it
    is nothing that could be installed.
    """
    if mendable and os.environ.get(STRICT) == "1":
        pytest.fail(PREFIX + reason, pytrace=False)
    pytest.skip(PREFIX + reason)


def summarise(terminal: pytest.TerminalReporter) -> None:
    """The section "not run" of the terminal summary: each reason with the tests that gave it."""
    by_reason: dict[str, list[str]] = {}
    for report in terminal.getreports("skipped"):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _, found, reason = text.partition(PREFIX)
        if found:
            by_reason.setdefault(reason, []).append(report.nodeid)
    if by_reason:
        terminal.section("not run on this machine")
        for reason, tests in sorted(by_reason.items()):
            terminal.line(f"not run: {reason}")
            for test in sorted(tests):
                terminal.line(f"    {test}")
