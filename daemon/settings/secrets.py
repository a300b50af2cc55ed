"""Reads passwords from files and commands. What was read is never part of an error."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from pgvigil.problems import Problem, SetupError

COMMAND_TIMEOUT_S = 10.0
_LONGEST_BYTES = 8192


def from_file(path: Path, target: str) -> SecretStr:
    """The first line of `path`; raises SetupError where there is none."""
    try:
        with path.open("rb") as file:
            line = file.readline(_LONGEST_BYTES)
    except OSError as error:
        problem = Problem(
            slug="password-file-unreadable",
            sentence=f"The password file {path} of target {target} cannot be read: {error.strerror}.",
            fix="Let the user that pgvigil runs as read it, or correct password_file.",
            target=target,
        )
        raise SetupError(problem) from None
    return _secret(line, f"The password file {path}", target)


def from_command(command: tuple[str, ...], target: str, timeout_s: float = COMMAND_TIMEOUT_S) -> SecretStr:
    """The first line that `command` prints; raises SetupError when it fails or takes too long.

    What it writes to standard error is thrown away: it may repeat the secret.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command, from the configuration file
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _command_failed(command, target, f"cannot be started: {error.strerror}") from None
    timer = threading.Timer(timeout_s, _kill_group, (process.pid,))
    timer.start()
    try:
        with process:
            line = process.stdout.readline(_LONGEST_BYTES) if process.stdout else b""
    finally:
        timer.cancel()
    if process.returncode == -signal.SIGKILL:
        raise _command_failed(command, target, f"did not end within {timeout_s:g}s")
    if process.returncode != 0:
        raise _command_failed(command, target, f"ended with status {process.returncode}")
    return _secret(line, f"The password command {command[0]}", target)


def _kill_group(pid: int) -> None:
    """The command and what it started: a grandchild that holds the pipe would keep us waiting."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _command_failed(command: tuple[str, ...], target: str, what: str) -> SetupError:
    return SetupError(
        Problem(
            slug="password-command-failed",
            sentence=f"The password command {command[0]} of target {target} {what}.",
            fix="Run it by hand, as the user that pgvigil runs as.",
            target=target,
        )
    )


def _secret(line: bytes, source: str, target: str) -> SecretStr:
    password = line.decode(errors="replace").rstrip("\r\n")
    if not password:
        problem = Problem(
            slug="password-empty",
            sentence=f"{source} of target {target} gave an empty first line.",
            fix="Let its first line be the password.",
            target=target,
        )
        raise SetupError(problem)
    return SecretStr(password)
