"""The failure matrix names tests that are there, and every row has one or says what it waits for."""

import re

from tests.support.daemons import ROOT

PAGE = ROOT / "docs" / "reference" / "failure-matrix.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> list[str]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("| ")][1:]


def test_every_test_that_is_named_is_there() -> None:
    named = [match.groups() for row in rows() for match in NAMED.finditer(row)]
    assert named
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_row_is_staged_or_says_what_it_waits_for() -> None:
    found = rows()
    assert len(found) == 24
    assert [row for row in found if not NAMED.search(row) and "waits for" not in row] == []
