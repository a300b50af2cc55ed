"""`pgvigil routes`: who would hear of it?"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

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
from daemon.settings import Settings, TargetSettings
from daemon.settings.errors import nearest
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.units import format_duration

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
            "" if until is None else f", not before {_when(until)} and if it still fires then"
        )


def path_lines(
    steps: Sequence[Step], recipients: Sequence[Recipient], incident: Incident, now: datetime
) -> Iterator[str]:
    """Each route with what became of it, and why every sink hears of it where none was taken."""
    yield from (f"route {number}: {said(step, incident, now)}" for number, step in enumerate(steps, 1))
    if recipients and not any(step.taken for step in steps):
        yield f"{'no route takes it' if steps else 'there are no routes'}: it goes to every sink"


def said(step: Step, incident: Incident, now: datetime) -> str:
    """What became of a route, and why."""
    if step.ended_by is not None:
        return f"not looked at: route {step.ended_by + 1} was taken and does not say continue"
    if step.mismatch:
        return f"no: {step.mismatch}"
    parts = [f"yes: {', '.join(step.route.sinks)}"]
    until = step.route.quiet_until(incident, now)
    if until is not None:
        hours = " and ".join(map(str, step.route.quiet_by(incident, now)))
        parts.append(f"muted until {_when(until)} ({hours})")
    if step.route.fallback and incident.peak >= step.route.fallback_severity:
        after = format_duration(step.route.fallback_after_s)
        parts.append(f"if one has not taken it after {after}, also {', '.join(step.route.fallback)}")
    if step.route.remind_every_s is not None:
        parts.append(f"again every {format_duration(step.route.remind_every_s)} until it is acknowledged")
    if step.route.escalate_after_s is not None:
        after, sinks = format_duration(step.route.escalate_after_s), ", ".join(step.route.escalate_to)
        parts.append(f"if nobody acknowledges it for {after}, also {sinks}")
    if step.route.go_on:
        parts.append("continue: the routes below are looked at as well")
    return "; ".join(parts)


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"


def step_object(number: int, step: Step, incident: Incident, now: datetime) -> dict[str, Any]:
    """The same for programs."""
    return {
        "route": number,
        "taken": step.taken,
        "mismatch": step.mismatch,
        "ended_by": None if step.ended_by is None else step.ended_by + 1,
        "sinks": list(step.route.sinks),
        "fallback": list(step.route.fallback) if incident.peak >= step.route.fallback_severity else [],
        "remind_every_s": step.route.remind_every_s,
        "escalate_after_s": step.route.escalate_after_s,
        "escalate_to": list(step.route.escalate_to),
        "muted_until": stamp(step.route.quiet_until(incident, now)) if step.taken else None,
    }
