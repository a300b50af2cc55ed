"""The monotonic companions of an incident's wall stamps."""

import math
from dataclasses import dataclass, replace

from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment

BRIDGE_S = 120.0  # a restart shorter than this interrupts a pending incident no more than a slow poll would
REOPEN_WITHIN_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient the lifecycle is with the incidents of one rule. All in seconds."""

    for_s: float
    keep_firing_for_s: float
    refresh_s: float = 30.0
    reopen_within_s: float = REOPEN_WITHIN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """Points on the monotonic clock; every duration of the lifecycle is a difference of these.

    `pending_mono_s` is moved forward by each gap, so that now minus it is the time during which somebody
    looked and the condition held. `blind_mono_s` is when the gap that we are in began. `quiet_mono_s` is
    since when the condition is known to be absent (or was last true), None after a gap: then it counts
    from the next reading on. `milder_mono_s` is since when the level has been lower than the severity, and
    `milder` the worst level since then. `unwritten` says that people would see something new.
    """

    pending_mono_s: float
    refreshed_mono_s: float
    blind_mono_s: float | None = None
    quiet_mono_s: float | None = None
    milder_mono_s: float | None = None
    milder: Level = Level.HOLD
    resolved_mono_s: float | None = None
    unwritten: bool = False

    def watched_s(self, now_s: float) -> float:
        """How long it has held under observation."""
        return now_s - self.pending_mono_s

    def seeing(self, now_s: float) -> "Timers":
        """A reading saw it: the gap, if there was one, is taken out of the time watched."""
        gap_s = 0.0 if self.blind_mono_s is None else now_s - self.blind_mono_s
        return replace(
            self, pending_mono_s=self.pending_mono_s + gap_s, blind_mono_s=None, quiet_mono_s=now_s
        )

    def missing(self, now_s: float) -> "Timers":
        """A reading looked and found nothing."""
        return self if self.quiet_mono_s is not None else replace(self, quiet_mono_s=now_s)

    def blind(self, now_s: float) -> "Timers":
        """Nobody could look: no clock advances, and what was quiet may not have stayed quiet."""
        since_s = now_s if self.blind_mono_s is None else self.blind_mono_s
        return replace(self, blind_mono_s=since_s, quiet_mono_s=None, milder_mono_s=None)

    def written_next(self) -> "Timers":
        """The next reading is shown to people, however soon it comes and whatever it says."""
        return replace(self, refreshed_mono_s=-math.inf, unwritten=True)

    def milder_than(self, severity: Level, level: Level, now_s: float) -> "Timers":
        """Keeps account of how long the level has been under the severity."""
        if level >= severity:
            return replace(self, milder_mono_s=None)
        if self.milder_mono_s is None:
            return replace(self, milder_mono_s=now_s, milder=level)
        return replace(self, milder=max(self.milder, level))


def restore(incident: Incident, moment: Moment) -> Timers:
    """The timers of an incident that another process stored: continued, not started again.

    What was watched up to the last evaluation counts. The time in between, when nobody looked, counts only
    for a pending incident and only up to BRIDGE_S: it must still be there at the next reading to fire.
    After a longer absence the first reading of what people were told is written at once, so that what is
    said of the absence is current. Stamps out of order (the wall clock was stepped) count as zero.
    """
    away_s = (moment.utc - incident.evaluated_at).total_seconds()
    bridged_s = away_s if 0.0 <= away_s <= BRIDGE_S else 0.0
    watched_s = _positive_s((incident.evaluated_at - incident.pending_since).total_seconds()) + bridged_s
    quiet_s = _positive_s((incident.evaluated_at - incident.last_true_at).total_seconds())
    now_s = moment.mono_s
    told = incident.state in (State.FIRING, State.UNKNOWN)
    return Timers(
        pending_mono_s=now_s - watched_s,
        refreshed_mono_s=-math.inf if told and away_s > BRIDGE_S else now_s,
        blind_mono_s=now_s if incident.state in (State.PENDING, State.UNKNOWN) else None,
        quiet_mono_s=now_s - quiet_s if incident.state is State.FIRING else None,
        resolved_mono_s=_resolved_mono_s(incident, moment),
    )


def _resolved_mono_s(incident: Incident, moment: Moment) -> float | None:
    if incident.resolved_at is None:
        return None
    return moment.mono_s - _positive_s((moment.utc - incident.resolved_at).total_seconds())


def _positive_s(seconds: float) -> float:
    return max(0.0, seconds)
