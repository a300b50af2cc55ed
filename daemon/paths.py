"""The way of an incident through the routes, in words."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from alerts.routes import Recipient, Step
from daemon.jsonable import stamp
from pgvigil.model.incident import Incident
from pgvigil.units import format_duration


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
        parts.append(f"muted until {when(until)} ({hours})")
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


def when(at: datetime) -> str:
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
