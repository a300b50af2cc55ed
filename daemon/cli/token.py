"""`pgvigil token`: tokens with which people and programs act through the API."""

import re
import secrets
from typing import Annotated

import typer

from daemon.cli.common import AsJson, command_app, print_json
from daemon.http.tokens import May, hash_of

app = command_app("Make tokens for people and programs that act on incidents.", group=True)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_BYTES = 32


@app.callback()
def token() -> None:
    """Make tokens for people and programs that act on incidents."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who will hold it: whoever acts with it is called so.")],
    *,
    may: Annotated[
        list[May] | None,
        typer.Option(help="What it may do; can be given several times.", show_default="read"),
    ] = None,
    json: AsJson = False,
) -> None:
    """Make a token. It is shown once and kept nowhere: the configuration holds its hash."""
    if not _NAME.fullmatch(name):
        raise typer.BadParameter(f"{name!r} is no name; use letters, digits, _ . and -, at most 63")
    made = f"pgv_{secrets.token_urlsafe(_BYTES)}"
    allowed = [each.value for each in dict.fromkeys([May.READ, *(may or ())])]
    if json:
        print_json({"name": name, "token": made, "sha256": hash_of(made), "may": allowed})
        return
    listed = ", ".join(f'"{each}"' for each in allowed)
    typer.echo(f"{made}\n")
    typer.echo("Keep it now, for example in PGVIGIL_TOKEN: it is shown once.")
    typer.echo("Add this to the daemon's configuration, and reload it:\n")
    typer.echo(f'[[tokens]]\nname = "{name}"\nsha256 = "{hash_of(made)}"\nmay = [{listed}]')
