"""The Typer application, put together from the table of commands."""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from daemon.cli import COMMANDS, codes
from pgvigil import __version__


class LazyGroup(TyperGroup):
    """Imports the module of a command when the command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is Typer's
        return sorted(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is Typer's
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = typer.main.get_command(import_module(module).app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Typer itself suggests only commands that have been imported."""
        word = args[0]
        if word not in COMMANDS and (close := get_close_matches(word, COMMANDS, n=1)):
            ctx.fail(f"No such command '{word}'. Did you mean '{close[0]}'?")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="pgvigil",
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,  # rich is imported by the commands that draw something, and by no other
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"pgvigil {__version__}")
        raise typer.Exit


@app.callback()
def pgvigil(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an internal error.")] = False,
) -> None:
    """Keep watch over PostgreSQL servers and tell people what is wrong, why, and what to do."""


def run(arguments: Sequence[str]) -> int:
    """Runs the command that `arguments` name and returns its exit code."""
    try:
        result = app(args=list(arguments), prog_name="pgvigil", standalone_mode=False)
    except SystemExit:
        return codes.READER_LEFT  # Typer leaves this way only when standard output is closed
    return result if isinstance(result, int) else codes.OK
