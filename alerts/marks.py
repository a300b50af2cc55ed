"""The marks beside an incident's state, and evidence that comes from elsewhere: pure functions."""

from dataclasses import replace

from alerts.tracked import Outcome, Tracked, change
from pgvigil.model.incident import Incident, State
from pgvigil.model.moment import Moment
from pgvigil.model.silence import Silence


def suppress(tracked: Tracked, parent: Incident, moment: Moment) -> Outcome:
    """Part of `parent` now: nobody is disturbed for it any more. Pending ones are left to themselves."""
    incident = tracked.incident
    if incident.state not in (State.FIRING, State.UNKNOWN) or incident.parent_id == parent.id:
        return Outcome(tracked)
    after = replace(incident, parent_id=parent.id, suppressed_by=parent.name)
    return change("suppressed", tracked, after, moment, f"part of {parent.name}")


def unsuppress(tracked: Tracked, moment: Moment) -> Outcome:
    """It stands for itself again."""
    incident = tracked.incident
    after = replace(incident, parent_id=None, suppressed_by=None)
    return change("unsuppressed", tracked, after, moment, f"no longer part of {incident.suppressed_by}")


def silence(tracked: Tracked, by: Silence | None, moment: Moment) -> Outcome:
    """Kept quiet by `by`, or by nobody any more."""
    before = tracked.incident.silenced_by
    name = None if by is None else by.name
    if name == before:
        return Outcome(tracked)
    after = replace(
        tracked.incident,
        silenced_by=name,
        silencer=None if by is None else by.author,
        silenced_until=None if by is None else by.ends_at,
        was_silenced_by=before if by is None else None,
    )
    if by is None:
        return change("unsilenced", tracked, after, moment, f"{before} has ended; quiet until now")
    return change("silenced", tracked, after, moment, f"{by.name} by {by.author}: {by.reason}")


def attend(tracked: Tracked, moment: Moment) -> Outcome:
    """Note since when nobody looks after it. That alone is written with whatever comes next."""
    incident = tracked.incident
    if bool(incident.marks) == (incident.unattended_since is None):
        return Outcome(tracked)
    after = replace(incident, unattended_since=None if incident.marks else moment.utc)
    return Outcome(Tracked(after, replace(tracked.timers, unwritten=True)))


def adorn(tracked: Tracked, after: Incident, moment: Moment) -> Outcome:
    """Evidence came in from elsewhere. It is written with the next refresh; at once when all is over."""
    if after == tracked.incident:
        return Outcome(tracked)
    if after.open:
        return Outcome(Tracked(after, replace(tracked.timers, unwritten=True)))
    return change("refreshed", tracked, after, moment)
