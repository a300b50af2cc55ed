"""Options and printing that the commands share."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.settings import Settings, load

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="PGVIGIL_CONFIG", help="The configuration file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

DEFAULT_CONFIG = Path("/etc/pgvigil/pgvigil.toml")


def command_app(help_text: str, *, group: bool = False) -> typer.Typer:
    """An application for the module of a command, or of a `group` of them: it looks like `pgvigil` itself."""
    return typer.Typer(help=help_text, no_args_is_help=group, add_completion=False, rich_markup_mode=None)


def load_settings(file: Path) -> Settings:
    """The settings of `file` and the environment; raises ConfigErrors."""
    return load(file, os.environ)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))
