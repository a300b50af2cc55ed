"""`pgvigil check`: what it refuses to begin."""

from pathlib import Path

import pytest

from daemon.cli import codes, main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "pgvigil.toml"
    file.write_text('[[targets]]\nname = "orders-prod"\ndsn = "host=127.0.0.1 port=1"\n', encoding="utf-8")
    return file


def test_an_unknown_target_is_64_and_names_the_nearest(config: Path, capsys: Capture) -> None:
    assert main(["check", "-c", str(config), "--target", "order-prod"]) == codes.SETUP
    assert "orders-prod" in capsys.readouterr().err


def test_a_sample_without_a_unit_is_64(config: Path, capsys: Capture) -> None:
    assert main(["check", "-c", str(config), "--sample", "10"]) == codes.SETUP
    assert "30s" in capsys.readouterr().err


def test_no_target_at_all_is_64_not_ok(config: Path, capsys: Capture) -> None:
    config.write_text("", encoding="utf-8")
    assert main(["check", "-c", str(config)]) == codes.SETUP
    assert "[[targets]]" in capsys.readouterr().err
