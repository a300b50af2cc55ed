"""What people do to one incident: pure functions. Somebody looks after it, at the severity that it has now; or only looks."""

from dataclasses import replace
from datetime import datetime

from alerts.tracked import Outcome as Change
from alerts.tracked import Tracked, change
from pgvigil.model.action import Action, ActionKind, Outcome, Result
from pgvigil.model.incident import Incident, State
from pgvigil.model.moment import Moment


def act(tracked: Tracked, action: Action, moment: Moment) -> tuple[Change, Outcome]:
    """What `action` makes of the incident, and what is said to whoever acted. Without a transition nothing changed."""
    incident = tracked.incident
    refusal = refused(incident)
    if refusal is not None:
        return Change(tracked), refusal
    if action.kind is ActionKind.REFRESH:
        awaiting = replace(tracked, timers=tracked.timers.written_next())
        sentence = f"{incident.name} is read again now; whatever that shows is in its messages in a moment"
        return Change(awaiting), Outcome(Result.DONE, incident, sentence)
    if action.kind is ActionKind.ACKNOWLEDGE:
        return _acknowledge(tracked, action, moment)
    return _unacknowledge(tracked, action, moment)


def refused(incident: Incident) -> Outcome | None:
    """Why nobody can look after it, where nobody can."""
    if incident.state is State.RESOLVED:
        return Outcome(Result.REFUSED, incident, f"{incident.name} is over: there is nothing to look after")
    if incident.state is State.PENDING:
        return Outcome(Result.REFUSED, incident, f"{incident.name} has not fired: nobody was told of it yet")
    return None


def _acknowledge(tracked: Tracked, action: Action, moment: Moment) -> tuple[Change, Outcome]:
    incident = tracked.incident
    if incident.acknowledged_by:
        return Change(tracked), Outcome(Result.ALREADY, incident, _first(incident))
    after = replace(
        incident,
        acknowledged_by=action.actor.name,
        acknowledged_at=moment.utc,
        acknowledged_level=incident.severity,
    )
    sentence = f"{incident.name} is acknowledged by {action.actor.name}"
    return _done("acknowledged", tracked, after, action, moment, sentence)


def _unacknowledge(tracked: Tracked, action: Action, moment: Moment) -> tuple[Change, Outcome]:
    incident = tracked.incident
    if not incident.acknowledged_by:
        return Change(tracked), Outcome(Result.ALREADY, incident, f"nobody has acknowledged {incident.name}")
    sentence = f"{incident.name} is no longer acknowledged by {incident.acknowledged_by}"
    return _done("unacknowledged", tracked, cleared(incident), action, moment, sentence)


def _done(
    kind: str, tracked: Tracked, after: Incident, action: Action, moment: Moment, sentence: str
) -> tuple[Change, Outcome]:
    made = change(kind, tracked, after, moment, why_of(action))
    now = after if made.tracked is None else made.tracked.incident
    return made, Outcome(Result.DONE, now, sentence)


def why_of(action: Action) -> str:
    """Who did it, for the history."""
    by = f"by {action.actor.name} ({action.actor.door})"
    return f"{by}: {action.note}" if action.note else by


def _first(incident: Incident) -> str:
    at = "" if incident.acknowledged_at is None else f" at {_clock(incident.acknowledged_at)}"
    return f"{incident.acknowledged_by} was first: {incident.name} was acknowledged{at}"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}Z"


def cleared(incident: Incident) -> Incident:
    """Looked after by nobody."""
    return replace(incident, acknowledged_by=None, acknowledged_at=None, acknowledged_level=None)


def outgrown(incident: Incident) -> tuple[Incident, str]:
    """The incident, and why it is no longer acknowledged: "" while it is no worse than when somebody took it on."""
    level = incident.acknowledged_level
    if not incident.acknowledged_by or level is None or incident.severity <= level:
        return incident, ""
    who = incident.acknowledged_by
    why = f"no longer acknowledged: it was {level.word} when {who} acknowledged it, and is {incident.severity.word}"
    return cleared(incident), why
