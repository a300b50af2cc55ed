"""`pgvigil routes`: who would hear of it?"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from alerts.routes import Recipient, Router, Step, muted_until, path
from daemon.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigFile,
    chosen_targets,
    command_app,
    load_settings,
    print_json,
)
from daemon.clock import system_now
from daemon.jsonable import stamp
from daemon.paths import path_lines, step_object, when
from daemon.settings import Settings, TargetSettings
from daemon.settings.errors import nearest
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level

app = command_app("Say who would hear of an incident.", group=True)


@app.callback()
def routes() -> None:
    """Say who would hear of an incident."""


@app.command("test")
def show_path(
    *,
    rule: Annotated[str, typer.Option(help="The incident's rule.")],
    target: Annotated[str, typer.Option(help="Its target.")],
    severity: Annotated[str, typer.Option(help="The worst that it has been.")] = "critical",
    database: Annotated[str | None, typer.Option(help="Its database, where it has one.")] = None,
    at: Annotated[
        str | None, typer.Option(help="When, such as 2026-12-24T22:30+01:00; UTC without an offset; now.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Show the path of an incident through the routes: which are taken, why the others are not, and who hears of it.

    Nothing is sent.
    """
    settings = load_settings(config)
    (found,) = chosen_targets(settings, target)
    now = _moment(at)
    incident = _incident(settings, found, rule, _level(severity), database, now)
    steps = path(incident, settings.routes)
    recipients = Router(settings.routes, tuple(settings.sinks), lambda _problem: None)(incident)
    if json:
        print_json(
            {
                "routes": [step_object(place, step, incident, now) for place, step in enumerate(steps, 1)],
                "recipients": [
                    one._asdict() | {"muted_until": stamp(_muted(incident, one, settings, now))}
                    for one in recipients
                ],
            }
        )
    else:
        typer.echo("\n".join(_lines(incident, steps, recipients, settings, now)))


def _moment(at: str | None) -> datetime:
    try:
        given = system_now().utc if at is None else datetime.fromisoformat(at)
    except ValueError:
        raise typer.BadParameter(
            f"--at {at!r} is no time; write one such as 2026-12-24T22:30+01:00"
        ) from None
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)


def _muted(incident: Incident, one: Recipient, settings: Settings, now: datetime) -> datetime | None:
    return muted_until(incident, one.sink, settings.routes, now)


def _level(word: str) -> Level:
    words = ("info", "warning", "critical")
    if word not in words:
        raise typer.BadParameter(f"--severity {word!r}: {nearest(word, words)}")
    return Level.from_word(word)


def _incident(
    settings: Settings,
    target: TargetSettings,
    rule: str,
    level: Level,
    database: str | None,
    now: datetime,
) -> Incident:
    known = tuple(settings.bound_rules(target.name))
    if rule not in known:
        hint = nearest(rule, known) or "`pgvigil rules list` names them"
        raise typer.BadParameter(f"no rule {rule!r} judges {target.name!r}; {hint}")
    return Incident(
        id=0,
        rule=rule,
        target=target.name,
        database=database,
        subject="",
        state=State.FIRING,
        severity=level,
        peak=level,
        version=1,
        summary="",
        value=None,
        peak_value=None,
        pending_since=now,
        fired_at=now,
        last_true_at=now,
        state_since=now,
        evaluated_at=now,
        labels=tuple(sorted(target.labels.items())),
    )


def _lines(
    incident: Incident,
    steps: Sequence[Step],
    recipients: Sequence[Recipient],
    settings: Settings,
    now: datetime,
) -> Iterator[str]:
    labels = "".join(f", {key}={value}" for key, value in incident.labels)
    place = incident.target if incident.database is None else f"{incident.database} on {incident.target}"
    yield f"{incident.peak.word} incident of {incident.rule} in {place}{labels}"
    yield from (f"  {line}" for line in path_lines(steps, recipients, incident, now))
    if not recipients:
        yield "told to nobody; it is on the page, in the API and in `pgvigil incidents list`"
    for one in recipients:
        until = _muted(incident, one, settings, now)
        calling = f", calling {one.mention}" if one.mention else ""
        yield f"told to {one.sink}{calling}" + (
            "" if until is None else f", not before {when(until)} and if it still fires then"
        )
