"""`pgvigil config`: is the configuration right, and what can stand in it."""

from dataclasses import asdict
from typing import Annotated

import typer

from daemon.cli import codes
from daemon.cli.common import DEFAULT_CONFIG, AsJson, ConfigFile, command_app, load_settings, print_json
from daemon.jsonable import problem as problem_object
from daemon.settings import ConfigErrors, Settings
from daemon.settings.generate import example
from daemon.settings.json_schema import json_schema
from daemon.settings.plugins import Plugins
from pgvigil.text import one_line

app = command_app("Check, print and describe the configuration.", group=True)


@app.callback()
def config() -> None:
    """Check, print and describe the configuration."""


@app.command()
def check(
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
    errors_only: Annotated[
        bool, typer.Option("--errors-only", help="Exit 0 when pgvigil can run with it, whatever it notes.")
    ] = False,
) -> None:
    """Report every error at once, with file, line and key.

    Exit code: 64 when pgvigil cannot run with it, else 1 when there is a note of what should be changed, else 0.
    """
    try:
        settings = load_settings(config)
    except ConfigErrors as errors:
        if not json:
            raise
        print_json({"ok": False, "errors": [asdict(error) for error in errors.errors], "problems": []})
        raise typer.Exit(codes.SETUP) from None
    if json:
        problems = [problem_object(problem) for problem in settings.problems]
        print_json({"ok": True, "errors": [], "problems": problems})
    else:
        _print_summary(settings)
    raise typer.Exit(codes.WARNING if settings.problems and not errors_only else codes.OK)


@app.command("example")
def print_example() -> None:
    """Print every key with its meaning and its default."""
    typer.echo(example.text(Plugins.installed()), nl=False)


@app.command("schema")
def print_schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    print_json(json_schema(Plugins.installed()))


def _print_summary(settings: Settings) -> None:
    for problem in settings.problems:
        typer.echo(f"note: {one_line(problem.sentence, 400)} Fix: {one_line(problem.fix, 400)}")
    rules = {name for bound in settings.rules.values() for name in bound}
    counts = (
        (len(settings.targets), "target"),
        (len(rules), "rule"),
        (len(settings.sinks), "sink"),
        (len(settings.routes), "route"),
    )
    text = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
    typer.echo(f"{settings.file}: ok ({text})")
