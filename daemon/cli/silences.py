"""`pgvigil silences`: what nobody is to be disturbed with, by whom, why and until when."""

from collections.abc import Iterator
from contextlib import closing
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
from daemon.clock import system_now
from daemon.jsonable import silence as as_object
from pgvigil.store.store import Store
from pgvigil.text import one_line

app = command_app("List, add and expire silences.", group=True)


@app.callback()
def silences() -> None:
    """List, add and expire silences."""


@app.command("list")
def list_silences(
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    forgotten: Annotated[
        bool, typer.Option("--forgotten", help="Only those that never matched, or whose incidents are over.")
    ] = False,
    json: AsJson = False,
) -> None:
    """List the silences that hold, the newest first."""
    now = system_now().utc
    with closing(Store.open(load_settings(config).daemon.store.reveal(), exclusive=False)) as store:
        incidents = store.incidents.open()
        found = [as_object(one, now, incidents) for one in store.silences.list()]
    if forgotten:
        found = [one for one in found if one["active"] and (one["forgotten"] or one["never_matched"])]
    elif not everything:
        found = [one for one in found if one["active"]]
    if json:
        print_json({"silences": found})
    elif found:
        typer.echo("\n".join(line for one in found for line in _lines(one)))
    else:
        typer.echo("no silences")


@app.command()
def add(
    *,
    match: Annotated[
        list[str],
        typer.Option(help="KEY=PATTERN: severity, rule, target, database, subject, incident or a label."),
    ],
    reason: Annotated[str, typer.Option(help="Why, for those who look for the alarm.")],
    for_: Annotated[str | None, typer.Option("--for", help="How long, such as 2h.")] = None,
    until_resolved: Annotated[
        bool, typer.Option("--until-resolved", help="Until what it hides now is over.")
    ] = False,
    until_worse: Annotated[
        str | None, typer.Option(help="Only up to this severity: info or warning.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would hide.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
    url: client.DaemonUrl = None,
    token_file: client.TokenFile = None,
    json: AsJson = False,
) -> None:
    """Silence what matches. Nobody is told of it meanwhile; what still fires at the end is told then."""
    asked: dict[str, Any] = {"match": matchers(match), "reason": reason}
    asked |= {"until_resolved": until_resolved, "dry_run": dry_run}
    asked |= {key: value for key, value in (("for", for_), ("until_worse", until_worse)) if value is not None}
    daemon = client.Daemon(url or client.url_of(load_settings(config).daemon), client.token_from(token_file))
    answer = daemon.post("/api/v1/silences", asked)
    if json:
        print_json(answer)
        return
    typer.echo("\n".join(_added(answer, datetime.fromisoformat(answer["silence"]["ends_at"]))))


@app.command()
def expire(
    silence: Annotated[str, typer.Argument(help="Its number, such as SIL-3 or 3.")],
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    url: client.DaemonUrl = None,
    token_file: client.TokenFile = None,
    json: AsJson = False,
) -> None:
    """End a silence now: what it hides and still fires is told."""
    number = silence.upper().removeprefix("SIL-")
    if not number.isdecimal() or len(number) > 17:
        raise typer.BadParameter(f"{silence!r} is no silence; write its number, such as SIL-3")
    daemon = client.Daemon(url or client.url_of(load_settings(config).daemon), client.token_from(token_file))
    answer = daemon.post(f"/api/v1/silences/SIL-{number}/expire", {})
    if json:
        print_json(answer)
    else:
        typer.echo("\n".join(_lines(answer["silence"])))


def _added(answer: dict[str, Any], ends_at: datetime) -> Iterator[str]:
    hides = [f"{one['id']} {one['severity']} {one['summary']}" for one in answer["hides"]]
    name = "it would hold" if answer["dry_run"] else f"{answer['silence']['id']} holds"
    yield f"{name} until {ends_at:%Y-%m-%d %H:%M}Z and hides {len(hides) or 'nothing'} now"
    yield from (f"  {one_line(line)}" for line in hides)


def _lines(item: dict[str, Any]) -> Iterator[str]:
    match = ", ".join(f"{key}={' or '.join(some)}" for key, some in item["match"].items())
    yield f"{item['id']}  {one_line(match)}  by {item['author']}: {one_line(item['reason'])}"
    ends = f"until {item['ends_at']}"
    if item["until_resolved"]:
        ends += " or until resolved"
    if item["until_worse"]:
        ends += f", up to {item['until_worse']}"
    if not item["active"]:
        ends = f"expired by {item['expired_by']}" if item["expired_by"] else f"ended {item['ends_at']}"
    words = f"hides {', '.join(item['hides'])}" if item["hides"] else ""
    if item["never_matched"]:
        words = "has never matched anything"
    elif item["forgotten"]:
        words = "what it hid is over: expire it?"
    yield f"  {ends}" + (f"; {words}" if words else "")
