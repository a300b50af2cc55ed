"""How a command that failed says so: on standard error, briefly, with the exit code of its kind."""

import sys
import traceback
from typing import Any

import typer

from daemon.cli import codes
from daemon.settings.errors import ConfigErrors
from pgvigil.problems import SetupError
from pgvigil.redact import redact

# Typer's errors of usage have no public name of their own; all of them descend from this one.
_UsageError: Any = typer.BadParameter.__mro__[2]


def report(error: Exception, *, debug: bool) -> int:
    """Prints `error` and returns the exit code."""
    if isinstance(error, _UsageError):
        error.show()
        return codes.SETUP
    if isinstance(error, typer.Abort):
        return codes.INTERRUPTED
    if isinstance(error, ConfigErrors):
        _say(*(str(one) for one in error.errors))
        return codes.SETUP
    if isinstance(error, SetupError):
        for problem in error.problems:
            _say(problem.sentence, f"  fix: {problem.fix}", f"  see: {problem.docs}")
        return codes.SETUP
    from pgvigil.store.errors import StoreError  # brings SQLAlchemy: only when nothing lighter fits

    if isinstance(error, StoreError):
        _say(f"pgvigil: {error}")
        return codes.UNKNOWN
    if debug:
        _say(redact("".join(traceback.format_exception(error))))
    else:
        _say(redact(f"pgvigil: internal error: {type(error).__name__}: {error} (--debug shows where)"))
    return codes.INTERNAL


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)
