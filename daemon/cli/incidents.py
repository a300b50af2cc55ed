"""`pgvigil incidents`: what is wrong, and what was."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from alerts.render import view
from alerts.sinks.console import as_text
from daemon.cli import client, codes
from daemon.cli.common import DEFAULT_CONFIG, AsJson, ConfigFile, command_app, load_settings, print_json
from daemon.clock import system_now
from daemon.jsonable import incident as as_object
from daemon.jsonable import stamp
from daemon.why import chain_of
from pgvigil.model.delivery import Delivery
from pgvigil.model.incident import Event, Incident, State
from pgvigil.store.store import Store
from pgvigil.text import one_line
from pgvigil.units import format_duration

app = command_app("List incidents and show one with its history.", group=True)
Number = Annotated[str, typer.Argument(help="Its number, such as INC-7 or 7.")]
OPEN = tuple(state for state in State if state is not State.RESOLVED)


@app.callback()
def incidents() -> None:
    """List incidents and show one with its history."""


@app.command("list")
def list_incidents(
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    target: Annotated[str | None, typer.Option(help="Only of this target.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule.")] = None,
    resolved: Annotated[bool, typer.Option("--all", help="Resolved ones as well.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    json: AsJson = False,
) -> None:
    """List the open incidents, the newest first."""
    with closing(_store(config)) as store:
        states = None if resolved else OPEN
        found = store.incidents.list(states=states, target=target, rule=rule, limit=limit)
    if json:
        print_json({"incidents": [as_object(item) for item in found]})
    elif found:
        typer.echo("\n".join(rows(found, system_now().utc)))
    else:
        typer.echo("no incidents" if resolved else "no open incidents")


@app.command()
def show(
    incident: Number,
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Show one incident with its diagnosis and its history."""
    with closing(_store(config)) as store:
        item = _found(store, incident)
        history = store.incidents.history(item.id)
    if json:
        print_json({**as_object(item), "history": [_event(event) for event in history]})
    else:
        typer.echo(as_text(view(item, _nothing_seen(item))))
        typer.echo("\n".join(_history(history)))


@app.command()
def why(
    incident: Number,
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Say why somebody was told of an incident, or nobody: rule and limits, marks, routes, and every delivery."""
    with closing(_store(config)) as store:
        item = _found(store, incident)
        chain = chain_of(store, load_settings(config), item, system_now().utc)
    if json:
        print_json(chain.as_object())
    else:
        typer.echo("\n".join(chain.lines()))


@app.command()
def ack(
    incident: Number,
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    undo: Annotated[bool, typer.Option("--undo", help="Say that nobody looks after it any more.")] = False,
    note: Annotated[str, typer.Option(help="Words for the history.")] = "",
    url: client.DaemonUrl = None,
    token_file: client.TokenFile = None,
    json: AsJson = False,
) -> None:
    """Acknowledge an incident: say that you look after it. Everybody who was told of it sees who does."""
    _act(incident, "unacknowledge" if undo else "acknowledge", note, config, url, token_file, json=json)


@app.command()
def refresh(
    incident: Number,
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    url: client.DaemonUrl = None,
    token_file: client.TokenFile = None,
    json: AsJson = False,
) -> None:
    """Read again now what an incident stands on: its messages show what is found, and when it was."""
    _act(incident, "refresh", "", config, url, token_file, json=json)


def _act(
    incident: str,
    action: str,
    note: str,
    config: Path,
    url: str | None,
    token_file: Path | None,
    *,
    json: bool,
) -> None:
    number = incident.upper().removeprefix("INC-")
    if not number.isdecimal() or len(number) > 17:
        raise typer.BadParameter(f"{incident!r} is no incident; write its number, such as INC-7")
    asked = {"action": action, "note": note, "door": "cli", "id": str(uuid.uuid4())}
    daemon = client.Daemon(url or client.url_of(load_settings(config).daemon), client.token_from(token_file))
    answer = daemon.post(f"/api/v1/incidents/INC-{number}/actions", asked)
    if json:
        print_json(answer)
    else:
        typer.echo(one_line(str(answer.get("message", "")), 400))
    if answer.get("result") == "refused":
        raise typer.Exit(codes.WARNING)


def _store(config: Any) -> Store:
    """Says on stderr when the file is behind, because the daemon goes on without its disk."""
    store = Store.open(load_settings(config).daemon.store.reveal(), exclusive=False)
    since = store.in_memory_since
    if since is not None:
        typer.echo(
            f"warning: the disk of the store fails; what happened since {stamp(since)} is only in the daemon's memory"
            " (see its page or API)",
            err=True,
        )
    return store


def _found(store: Store, name: str) -> Incident:
    number = name.upper().removeprefix("INC-")
    item = store.incidents.get(int(number)) if number.isdecimal() and len(number) < 19 else None
    if item is None:
        raise typer.BadParameter(f"there is no incident {name!r}")
    return item


def rows(found: Sequence[Incident], now: datetime) -> Iterator[str]:
    """One line for each, in columns."""
    cells = [("INCIDENT", "SEVERITY", "STATE", "AGE", "RULE", "WHERE", "SUMMARY")]
    cells += [_row(item, now) for item in found]
    widths = [max(len(row[column]) for row in cells) for column in range(6)]
    for *columns, summary in cells:
        padded = (f"{cell:<{width}}" for cell, width in zip(columns, widths, strict=True))
        yield "  ".join([*padded, summary])


def _row(item: Incident, now: datetime) -> tuple[str, str, str, str, str, str, str]:
    state = ", ".join([item.state.value, *item.marks])
    where = item.target if item.database is None else f"{item.target}/{one_line(item.database, 63)}"
    age = format_duration(max(0.0, (now - item.pending_since).total_seconds()))
    return item.name, item.severity.word, state, age, item.rule, where, one_line(item.summary)


def _nothing_seen(item: Incident) -> Delivery:
    return Delivery(
        incident_id=item.id,
        sink="",
        want_version=item.version,
        urgency=item.severity,
        due_since=item.evaluated_at,
    )


def _history(events: Sequence[Event]) -> Iterator[str]:
    yield "History:"
    for event in events:
        why = f"  {one_line(event.why)}" if event.why else ""
        yield f"  {stamp(event.at)}  {event.kind:<11} {event.state.value}, {event.severity.word}{why}"


def _event(event: Event) -> dict[str, Any]:
    return {
        "at": stamp(event.at),
        "kind": event.kind,
        "why": event.why,
        "state": event.state.value,
        "severity": event.severity.word,
        "version": event.version,
    }
