"""Passwords that live outside the configuration: read at every connect, never kept."""

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgvigil.postgres.limits import LIMITS


class PasswordError(Exception):
    """The password could not be had. The text is safe to show: it holds no output of the command."""


@dataclass(frozen=True, slots=True)
class PasswordFile:
    """The first line of a file, as secrets are mounted into containers."""

    path: Path

    def __call__(self) -> str:
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise PasswordError(f"password_file {self.path}: {reason}") from None
        if not lines or not lines[0]:
            raise PasswordError(f"password_file {self.path}: its first line is empty")
        return lines[0]


@dataclass(frozen=True, slots=True)
class PasswordCommand:
    """The first line that a command prints. Run without a shell; its standard error is not shown."""

    argv: tuple[str, ...]
    timeout_s: float = LIMITS.password_s

    @classmethod
    def parse(cls, command: str | Sequence[str], timeout_s: float = LIMITS.password_s) -> "PasswordCommand":
        """From a command line, split as a shell would, or a list. Raises ValueError when it is empty or unbalanced."""
        argv = tuple(shlex.split(command) if isinstance(command, str) else command)
        if not argv:
            raise ValueError("password_command is empty")
        return cls(argv, timeout_s)

    def __call__(self) -> str:
        name = Path(self.argv[0]).name
        lines = self._output(name).splitlines()
        if not lines or not lines[0]:
            raise PasswordError(f"password_command {name} printed nothing")
        return lines[0]

    def _output(self, name: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PasswordError(f"password_command {name} did not end within {self.timeout_s:g}s") from None
        except OSError as error:
            raise PasswordError(f"password_command {name}: {error.strerror}") from None
        if done.returncode != 0:
            raise PasswordError(f"password_command {name} failed with exit status {done.returncode}")
        return done.stdout.decode("utf-8", "replace")
