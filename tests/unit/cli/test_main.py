"""Every way a command can end has its exit code."""

import pytest

from daemon import cli
from daemon.cli import codes, main
from pgvigil import __version__
from pgvigil.problems import Problem, SetupError


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == codes.OK
    assert capsys.readouterr().out == f"pgvigil {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--nonsense"], ["config", "nonsense"], ["config", "check", "x"]]
)
def test_wrong_usage_is_64(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == codes.SETUP
    assert "pgvigil" in capsys.readouterr().err


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """Also of those whose module nobody has imported yet."""
    assert main(["incident", "list"]) == codes.SETUP
    assert "Did you mean 'incidents'?" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == codes.OK
    text = capsys.readouterr().out
    assert all(name in text for name in cli.COMMANDS)


def test_an_internal_error_is_70_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_file: object) -> None:
        raise ZeroDivisionError("password=hunter2 is not shown")

    monkeypatch.setattr("daemon.cli.config.load_settings", broken)
    assert main(["config", "check"]) == codes.INTERNAL
    (line,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError" in line
    assert "hunter2" not in line
    assert main(["--debug", "config", "check"]) == codes.INTERNAL
    traceback = capsys.readouterr().err
    assert "Traceback" in traceback
    assert "password=hunter2" not in traceback


def test_a_set_up_problem_is_64_and_names_the_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unusable(_file: object) -> None:
        raise SetupError(Problem(slug="store-unwritable", sentence="The store is full.", fix="make room"))

    monkeypatch.setattr("daemon.cli.config.load_settings", unusable)
    assert main(["config", "check"]) == codes.SETUP
    assert "fix: make room" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == codes.OK
    assert f"Usage: pgvigil {name}" in capsys.readouterr().out
