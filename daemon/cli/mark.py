"""`pgvigil mark`: say what was done, so that incidents near it show it."""

from datetime import datetime
from typing import Annotated, Any

import typer

from daemon.cli import client
from daemon.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigFile,
    command_app,
    load_settings,
    matchers,
    print_json,
)
from pgvigil.text import one_line

app = command_app("Mark a deploy, a migration or anything else that was done.")


@app.command()
def mark(
    text: Annotated[str, typer.Argument(help='What was done, such as "deploy v1.42".')],
    *,
    match: Annotated[
        list[str] | None,
        typer.Option(help="KEY=PATTERN: target, database or a label. By default it is about everything."),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="When, such as 2026-11-22T20:15:00Z; by default now.")
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Your own id of it: the same one again is the same marker.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    url: client.DaemonUrl = None,
    token_file: client.TokenFile = None,
    json: AsJson = False,
) -> None:
    """Mark what was done; incidents within an hour of it show it with the distance in time."""
    given: dict[str, Any] = {"text": text, "at": at, "id": id_, "match": matchers(match or ()) or None}
    asked = {key: value for key, value in given.items() if value is not None}
    daemon = client.Daemon(url or client.url_of(load_settings(config).daemon), client.token_from(token_file))
    answer = daemon.post("/api/v1/markers", asked)
    if json:
        print_json(answer)
        return
    made = answer["marker"]
    when = datetime.fromisoformat(made["at"])
    typer.echo(f"marked {one_line(made['text'])} at {when:%Y-%m-%d %H:%M:%S}Z, by {made['author']}")
