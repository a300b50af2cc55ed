"""What is generated from the source is what the source says now."""

import re
from pathlib import Path

from daemon.settings.generate import pages, stale, write
from tests.support.source import ROOT


def test_generated_files_are_current() -> None:
    assert stale(ROOT) == [], "run `make docs` (python -m daemon.settings.generate) and commit what it wrote"


def test_a_page_that_differs_is_noticed_and_written_again(tmp_path: Path) -> None:
    first = write(tmp_path)
    assert "config.example.toml" in first
    assert stale(tmp_path) == []
    (tmp_path / "config.example.toml").write_text("listen = 1\n")
    assert stale(tmp_path) == ["config.example.toml"]
    assert write(tmp_path) == ["config.example.toml"]


def test_the_page_of_a_rule_that_is_no_more_goes(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "docs/reference/rules/gone.md").write_text("of old")
    assert stale(tmp_path) == ["docs/reference/rules/gone.md"]
    assert write(tmp_path) == ["docs/reference/rules/gone.md"]
    assert stale(tmp_path) == []


def test_every_link_of_the_generated_pages_leads_somewhere() -> None:
    made = pages(ROOT)
    for path, text in made.items():
        for link in re.findall(r"\]\(([^)#:]+\.md)", text):
            there = (ROOT / path).parent / link
            assert there.resolve().is_file(), f"{path} links to {link}"
