"""An incident in memory: what is observed of it, how it takes on what a finding shows, how a change is written."""

from dataclasses import dataclass, replace
from datetime import timedelta

from alerts.timers import Policy, Timers
from pgvigil.model.finding import Finding
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.moment import Moment

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    finding: Finding


@dataclass(frozen=True, slots=True)
class Absent:
    """A reading covered the subject and found nothing."""


@dataclass(frozen=True, slots=True)
class NotCovered:
    """Nobody could look; `reason` is a sentence for people."""

    reason: str


Observation = Seen | Absent | NotCovered


@dataclass(frozen=True, slots=True)
class Tracked:
    """An incident as of the last evaluation, which may be newer than what is stored, and its timers."""

    incident: Incident
    timers: Timers


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to remember, and what to write. None to remember: there is, and was, nothing."""

    tracked: Tracked | None
    transition: Transition | None = None


def new(finding: Finding, moment: Moment, labels: Labels) -> Incident:
    return Incident(
        id=0,
        rule=finding.rule,
        target=finding.target,
        database=finding.database,
        subject=finding.subject,
        state=State.PENDING,
        severity=finding.level,
        peak=finding.level,
        version=1,
        summary=finding.summary,
        value=finding.value,
        peak_value=finding.value,
        pending_since=moment.utc,
        fired_at=None,
        last_true_at=moment.utc,
        state_since=moment.utc,
        evaluated_at=moment.utc,
        evidence=finding.evidence,
        steps=finding.steps,
        about=finding.about,
        explains=finding.explains,
        labels=labels,
    )


def again(former: Incident, finding: Finding, moment: Moment) -> Incident:
    """The same incident, pending again. Who acknowledged it then has not seen it now."""
    shown = showing(former, finding, moment)
    return replace(
        shown,
        state=State.PENDING,
        severity=finding.level,
        pending_since=moment.utc,
        state_since=moment.utc,
        parent_id=None,
        suppressed_by=None,
        silenced_by=None,
        silencer=None,
        silenced_until=None,
        acknowledged_by=None,
        acknowledged_at=None,
        acknowledged_level=None,
        unattended_since=None,
        was_silenced_by=None,
    )


def showing(incident: Incident, finding: Finding, moment: Moment) -> Incident:
    """`incident` with what the finding shows; state, severity and peak are decided elsewhere."""
    return replace(
        incident,
        summary=finding.summary,
        value=finding.value,
        peak_value=_larger(incident.peak_value, finding.value),
        last_true_at=moment.utc,
        evaluated_at=moment.utc,
        evidence=finding.evidence,
        steps=finding.steps,
        about=finding.about,
        explains=finding.explains,
    )


def restamped(incident: Incident, by: timedelta) -> Incident:
    """The same moments by a wall clock that was stepped."""
    return replace(
        incident,
        pending_since=incident.pending_since + by,
        fired_at=None if incident.fired_at is None else incident.fired_at + by,
        last_true_at=incident.last_true_at + by,
        state_since=incident.state_since + by,
        evaluated_at=incident.evaluated_at + by,
        unattended_since=None if incident.unattended_since is None else incident.unattended_since + by,
    )


def _larger(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known, default=None)


def change(kind: str, tracked: Tracked, after: Incident, moment: Moment, why: str = "") -> Outcome:
    """A change that every destination should reflect."""
    after = replace(after, version=tracked.incident.version + 1, evaluated_at=moment.utc)
    timers = written(tracked.timers, moment)
    return Outcome(Tracked(after, timers), Transition(kind, tracked.incident, after, why))


def refresh(was: Tracked, now: Tracked, policy: Policy, moment: Moment) -> Outcome:
    """New figures are kept, and written at most every `refresh_s`; the version rises if people would see them."""
    if _shows(now.incident) != _shows(was.incident):
        now = replace(now, timers=replace(now.timers, unwritten=True))
    if moment.mono_s - now.timers.refreshed_mono_s < policy.refresh_s:
        return Outcome(now)
    told = now.timers.unwritten and now.incident.state is not State.PENDING
    after = replace(now.incident, version=was.incident.version + told)
    timers = written(now.timers, moment)
    return Outcome(Tracked(after, timers), Transition("refreshed", was.incident, after))


def _shows(incident: Incident) -> tuple[object, ...]:
    return incident.summary, incident.value, incident.evidence, incident.steps


def written(timers: Timers, moment: Moment) -> Timers:
    return replace(timers, refreshed_mono_s=moment.mono_s, unwritten=False)
