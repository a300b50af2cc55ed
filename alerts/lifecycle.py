"""The life of an incident: pure functions of what it was, what was observed, and the two clocks.

    nothing --seen--> pending --held for `for`--> firing --absent for `keep_firing_for`--> resolved
                         |                          |  ^                                      |
                       absent                not covered  seen                     seen within the hour
                         v                          v  |                                      v
                      dropped                      unknown                       pending again, same id

What is decided here, and why:

- A gap is no evidence. It stops the clock of a pending incident (what was watched before it still counts:
  starting again would let a collector that fails now and then hide a fault for good), it makes a firing one
  unknown, and the quiet time before it no longer counts towards a resolve.
- HOLD, the band between `clear` and `warning`, opens nothing and drops what is pending (`for` asks for the
  condition itself); it keeps what fires firing, at most as a warning: nobody should read "critical" beside
  a figure that has nearly recovered.
- A rise in severity is told at once. A fall is told when it lasted `keep_firing_for`, at the worst level seen
  in that time, so that a value that dances around a threshold is one message.
- An incident that comes back within the hour keeps its id, but must hold for `for` again. The messages stay
  resolved while it is pending; if it goes away again it is what it was, resolved then.
"""

from dataclasses import replace

from alerts.acknowledging import outgrown
from alerts.timers import Policy, Timers
from alerts.tracked import (
    Absent,
    Labels,
    NotCovered,
    Observation,
    Outcome,
    Seen,
    Tracked,
    again,
    change,
    new,
    refresh,
    showing,
    written,
)
from pgvigil.model.finding import Finding
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment

RECOVERED = "recovered"


def step(
    tracked: Tracked | None, observation: Observation, policy: Policy, moment: Moment, labels: Labels = ()
) -> Outcome:
    """One observation of one subject. `labels` are given to an incident that opens."""
    if tracked is None or not tracked.incident.open:
        if isinstance(observation, Seen):
            return _appear(tracked, observation.finding, policy, moment, labels)
        return Outcome(tracked)
    act = _pending if tracked.incident.state is State.PENDING else _lasting
    return act(tracked, observation, policy, moment)


def gone(tracked: Tracked, reason: str, moment: Moment) -> Outcome:
    """The subject itself, its rule or its target is no more. Resolves what is open."""
    if not tracked.incident.open:
        return Outcome(tracked)
    if tracked.incident.state is State.PENDING:
        return _drop(tracked, reason, moment)
    return _resolve(tracked, reason, moment)


# --- nothing, or resolved ---------------------------------------------------------------------------------


def _appear(
    tracked: Tracked | None, finding: Finding, policy: Policy, moment: Moment, labels: Labels
) -> Outcome:
    if finding.level is Level.HOLD:
        return Outcome(tracked)
    former = tracked if tracked is not None and _may_return(tracked, policy, moment) else None
    incident = new(finding, moment, labels) if former is None else again(former.incident, finding, moment)
    timers = Timers(
        pending_mono_s=moment.mono_s,
        refreshed_mono_s=moment.mono_s,
        quiet_mono_s=moment.mono_s,
        resolved_mono_s=None if former is None else former.timers.resolved_mono_s,
    )
    opened = Tracked(incident, timers)
    before = None if former is None else former.incident
    if policy.for_s <= 0:
        return _fire(opened, before, moment)
    return Outcome(opened, Transition("opened", before, incident))


def _may_return(tracked: Tracked, policy: Policy, moment: Moment) -> bool:
    ended_s = tracked.timers.resolved_mono_s
    fired = tracked.incident.fired_at is not None
    return fired and ended_s is not None and moment.mono_s - ended_s <= policy.reopen_within_s


# --- pending ----------------------------------------------------------------------------------------------


def _pending(tracked: Tracked, observation: Observation, policy: Policy, moment: Moment) -> Outcome:
    if isinstance(observation, NotCovered):
        return Outcome(replace(tracked, timers=tracked.timers.blind(moment.mono_s)))
    if isinstance(observation, Absent):
        return _drop(tracked, RECOVERED, moment)
    finding = observation.finding
    if finding.level is Level.HOLD:
        return _drop(tracked, RECOVERED, moment)
    timers = tracked.timers.seeing(moment.mono_s)
    shown = replace(showing(tracked.incident, finding, moment), severity=finding.level)
    if timers.watched_s(moment.mono_s) >= policy.for_s:
        return _fire(Tracked(shown, timers), tracked.incident, moment)
    return refresh(tracked, Tracked(shown, timers), policy, moment)


def _fire(tracked: Tracked, before: Incident | None, moment: Moment) -> Outcome:
    incident = tracked.incident
    returned = incident.fired_at is not None
    after = replace(
        incident,
        state=State.FIRING,
        version=incident.version + (before is not None),
        # A spike while it was pending does not count: `for` asks what lasts.
        peak=max(incident.peak, incident.severity) if returned else incident.severity,
        fired_at=moment.utc,
        state_since=moment.utc,
        resolved_at=None,
        reason="",
        reopened=incident.reopened + returned,
    )
    timers = replace(written(tracked.timers, moment), resolved_mono_s=None)
    return Outcome(Tracked(after, timers), Transition("reopened" if returned else "fired", before, after))


def _drop(tracked: Tracked, reason: str, moment: Moment) -> Outcome:
    """Back to nothing, or to what it was: resolved then. A resolve that was not yet told must still be."""
    incident, timers = tracked.incident, tracked.timers
    returned = incident.fired_at is not None
    after = replace(
        incident,
        state=State.RESOLVED,
        version=incident.version + returned,
        state_since=moment.utc,
        evaluated_at=moment.utc,
        resolved_at=incident.resolved_at or moment.utc,
        reason=incident.reason if returned else reason,
    )
    if timers.resolved_mono_s is None:
        timers = replace(timers, resolved_mono_s=moment.mono_s)
    # If this cannot be written, the next sight of it starts its clock anew.
    timers = replace(timers, pending_mono_s=moment.mono_s, blind_mono_s=None)
    return Outcome(Tracked(after, timers), Transition("dropped", incident, after, reason))


# --- firing and unknown -----------------------------------------------------------------------------------


def _lasting(tracked: Tracked, observation: Observation, policy: Policy, moment: Moment) -> Outcome:
    if isinstance(observation, Seen):
        return _still(tracked, observation.finding, policy, moment)
    if isinstance(observation, Absent):
        return _quiet(tracked, policy, moment)
    return _lose_sight(tracked, observation.reason, policy, moment)


def _still(tracked: Tracked, finding: Finding, policy: Policy, moment: Moment) -> Outcome:
    incident, now_s = tracked.incident, moment.mono_s
    level = finding.level if finding.level > Level.HOLD else min(incident.severity, Level.WARNING)
    timers = tracked.timers.seeing(now_s).milder_than(incident.severity, level, now_s)
    severity = _severity(incident.severity, level, timers, policy, now_s)
    shown = replace(showing(incident, finding, moment), severity=severity, peak=max(incident.peak, severity))
    if incident.state is State.UNKNOWN:
        return _known(Tracked(incident, timers), shown, moment)
    if severity == incident.severity:
        return refresh(tracked, Tracked(shown, timers), policy, moment)
    kind = "worse" if severity > incident.severity else "better"
    after, why = outgrown(shown)
    return change(kind, Tracked(incident, replace(timers, milder_mono_s=None)), after, moment, why)


def _severity(now: Level, level: Level, timers: Timers, policy: Policy, now_s: float) -> Level:
    since_s = timers.milder_mono_s
    if since_s is None:
        return level
    return timers.milder if now_s - since_s >= policy.keep_firing_for_s else now


def _quiet(tracked: Tracked, policy: Policy, moment: Moment) -> Outcome:
    timers = tracked.timers.missing(moment.mono_s)
    seen = Tracked(replace(tracked.incident, evaluated_at=moment.utc), replace(timers, blind_mono_s=None))
    since_s = timers.quiet_mono_s
    if since_s is not None and moment.mono_s - since_s >= policy.keep_firing_for_s:
        return _resolve(tracked, RECOVERED, moment)
    if tracked.incident.state is State.UNKNOWN:
        return _known(Tracked(tracked.incident, seen.timers), seen.incident, moment)
    return refresh(tracked, seen, policy, moment)


def _lose_sight(tracked: Tracked, reason: str, policy: Policy, moment: Moment) -> Outcome:
    incident = tracked.incident
    blind = tracked.timers.blind(moment.mono_s)
    after = replace(incident, state=State.UNKNOWN, reason=reason)
    if incident.state is State.FIRING:
        after = replace(after, state_since=moment.utc)
        return change("unknown", Tracked(incident, blind), after, moment, reason)
    if reason != incident.reason:
        blind = replace(blind, unwritten=True)
    if not blind.unwritten:
        return Outcome(Tracked(incident, blind))
    return refresh(tracked, Tracked(after, blind), policy, moment)


def _known(tracked: Tracked, shown: Incident, moment: Moment) -> Outcome:
    known, why = outgrown(shown)
    after = replace(known, state=State.FIRING, state_since=moment.utc, reason="")
    return change("known", tracked, after, moment, why)


def _resolve(tracked: Tracked, reason: str, moment: Moment) -> Outcome:
    after = replace(
        tracked.incident,
        state=State.RESOLVED,
        state_since=moment.utc,
        evaluated_at=moment.utc,
        resolved_at=moment.utc,
        reason=reason,
    )
    timers = replace(tracked.timers, resolved_mono_s=moment.mono_s)
    return change("resolved", Tracked(tracked.incident, timers), after, moment, reason)
