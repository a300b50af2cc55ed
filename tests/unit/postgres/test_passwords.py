"""Passwords from files and commands."""

import time
from pathlib import Path

import pytest

from pgvigil.postgres.passwords import PasswordCommand, PasswordError, PasswordFile


def test_the_first_line_of_the_file_is_the_password(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(" with spaces \nnot this\n", encoding="utf-8")
    assert PasswordFile(path)() == " with spaces "


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b"", "empty"), (b"\xff\xfe", "not UTF-8")]
)
def test_a_file_that_holds_no_password_says_why(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PasswordError, match=reason):
        PasswordFile(path)()


def test_the_command_is_run_at_every_call(tmp_path: Path) -> None:
    path = tmp_path / "rotating"
    command = PasswordCommand.parse(["cat", str(path)])
    for password in ("one", "two"):
        path.write_text(password + "\n", encoding="utf-8")
        assert command() == password


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("sh -c 'echo hunter2; exit 7'", "exit status 7"),
        ("true", "printed nothing"),
        ("/no/such/vault --key hunter2", "No such file"),
    ],
)
def test_a_failing_command_is_named_without_its_output_or_arguments(command: str, reason: str) -> None:
    with pytest.raises(PasswordError, match=reason) as caught:
        PasswordCommand.parse(command)()
    assert "hunter2" not in str(caught.value)


def test_a_command_that_hangs_is_given_up() -> None:
    began_s = time.monotonic()
    with pytest.raises(PasswordError, match=r"did not end within 0\.1s"):
        PasswordCommand.parse("sleep 60", timeout_s=0.1)()
    assert time.monotonic() - began_s < 30


@pytest.mark.parametrize("bad", ["", "unbalanced 'quote"])
def test_a_command_line_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"empty|quotation"):
        PasswordCommand.parse(bad)
