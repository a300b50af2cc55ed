"""What is generated from the source is what the source says now."""

from pathlib import Path

from daemon.settings.generate import stale, write
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
