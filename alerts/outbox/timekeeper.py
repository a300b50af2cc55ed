"""What is due because of the time alone: of open incidents, by their rows and the routes of now.

Nothing of it is kept in memory that could be lost: it looks again and again, and what it finds due is a row.
"""

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

from alerts.outbox.acts import reminds, unattended, unheard
from alerts.outbox.stopwatch import Stopwatches
from alerts.routes import Route
from pgvigil.model.delivery import Delivery, DeliveryStatus, Want
from pgvigil.model.incident import Incident, State
from pgvigil.model.moment import Moment
from pgvigil.store import Store
from pgvigil.units import format_duration

log = structlog.get_logger(__name__)

GRACE_S = 75.0  # after a start: a digest may wait for a minute before it is told, and all else waits for it
_AT_REST = (DeliveryStatus.SETTLED, DeliveryStatus.LEFT)


class Times(Protocol):
    """What the routes of now say of time."""

    @property
    def timed(self) -> bool:
        """Whether they say anything."""

    def taken(self, incident: Incident) -> Sequence[Route]:
        """The routes that it takes."""

    def muted_until(self, incident: Incident, sink: str, now: datetime) -> datetime | None:
        """When the sink may hear what is new of it; None where that is now."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One incident with its rows and the routes that it takes and that are not quiet now."""

    incident: Incident
    rows: Sequence[Delivery]
    routes: Sequence[Route]

    def lacks(self, sinks: Collection[str]) -> list[str]:
        """Those of `sinks` that were never to hear of it."""
        known = {row.sink for row in self.rows}
        return [sink for sink in sinks if sink not in known]


class Timekeeper:
    """For one thread."""

    def __init__(self, store: Store) -> None:
        self._incidents = store.incidents
        self._deliveries = store.deliveries
        self._stopwatches = Stopwatches()
        self._began_s: float | None = None
        self._looked = False  # with routes that say nothing of time, and nothing was left of others

    def look(self, incidents: Collection[Incident], times: Times, moment: Moment) -> int:
        """Make due what is; returns how many rows are. Raises StoreError."""
        if self._began_s is None:
            self._began_s = moment.mono_s
        if not times.timed and self._looked:
            return 0
        fired = [one for one in incidents if one.state in (State.FIRING, State.UNKNOWN)]
        due = self._make_due(fired, times, moment) if fired else 0
        self._stopwatches.forget()
        self._looked = not times.timed
        return due

    def _make_due(self, fired: Sequence[Incident], times: Times, moment: Moment) -> int:
        rows = self._deliveries.of_incidents([one.id for one in fired])
        cases = [_case(one, rows.get(one.id, ()), times, moment.utc) for one in fired]
        woken = [row for case in cases for row in self._woken(case, times, moment)]
        due = self._deliveries.wake(woken, moment.utc) if woken else 0
        return due + sum(self._tell_others(case, moment) for case in cases)

    def _woken(self, case: _Case, times: Times, moment: Moment) -> Iterator[Delivery]:
        """What is settled and is to be heard now: it was muted until now, or it is time to remind people."""
        for row in case.rows:
            if row.status is not DeliveryStatus.SETTLED:
                continue
            late = unheard(case.incident, row) or reminds(case.incident, row)
            if late and times.muted_until(case.incident, row.sink, moment.utc) is None:
                yield replace(row, why=f"Muted here by the routes until {moment.utc:%H:%M}Z")
            elif not late and self._reminder_is_due(case, row, moment):
                yield replace(row, want_reminder=row.want_reminder + 1)

    def _reminder_is_due(self, case: _Case, row: Delivery, moment: Moment) -> bool:
        """Counted from when people there last heard something, and from when nobody looks after it."""
        periods = [route.remind_every_s for route in case.routes if row.sink in route.sinks]
        every_s = min((period for period in periods if period is not None), default=None)
        since = case.incident.unattended_since
        if every_s is None or since is None or row.seen_state is None or not unattended(case.incident):
            return False
        return self._lasted_s(("remind", row.incident_id, row.sink), moment, since, row.told_at) >= every_s

    def _tell_others(self, case: _Case, moment: Moment) -> int:
        """Have sinks hear of it that did not until now."""
        wants = {
            want.sink: want for want in (*self._escalations(case, moment), *self._fallbacks(case, moment))
        }
        for want in wants.values():
            log.warning("told_elsewhere", incident=case.incident.name, sink=want.sink, because=want.why)
        return self._incidents.announce([case.incident], tuple(wants.values())) if wants else 0

    def _escalations(self, case: _Case, moment: Moment) -> Iterator[Want]:
        """For each route whose people have let it lie for too long; while it was muted nobody did."""
        incident = case.incident
        since = incident.unattended_since
        for route in case.routes if since is not None and unattended(incident) else ():
            lacking = case.lacks(route.escalate_to)
            if since is None or route.escalate_after_s is None or not lacking:
                continue
            quiet_ended = route.quiet_ended(incident, moment.utc)
            lasted_s = self._lasted_s(
                ("escalate", incident.id, route.escalate_to), moment, since, quiet_ended
            )
            if lasted_s >= route.escalate_after_s:
                why = f"Told here because nobody has acknowledged it for {format_duration(lasted_s)}"
                for sink in lacking:
                    yield Want(0, sink, incident.severity, route.mention, why)

    def _fallbacks(self, case: _Case, moment: Moment) -> Iterator[Want]:
        """For each route with a sink that has not taken for too long what people are to hear."""
        for route in case.routes:
            lacking = case.lacks(route.fallback)
            if not lacking or case.incident.peak < route.fallback_severity:
                continue
            for row in case.rows:
                if row.sink not in route.sinks or row.status in _AT_REST or not unheard(case.incident, row):
                    continue
                waits_s = self._lasted_s(("take", row.incident_id, row.sink), moment, row.due_since)
                if waits_s >= route.fallback_after_s:
                    why = f"Told here because {row.sink} has not taken it for {format_duration(waits_s)}"
                    for sink in lacking:
                        yield Want(0, sink, case.incident.severity, route.mention, why)

    def _lasted_s(self, key: Hashable, moment: Moment, *since: datetime | None) -> float:
        """How long it lasts, since the latest of some stamps: by their own stopwatches, because after a step of the wall
        clock an older one may be in the future. Just after a start 0 for what began before it: nobody knows yet how
        things are now.
        """
        stamps = [(place, stamp) for place, stamp in enumerate(since) if stamp is not None]
        lasted_s = min(self._stopwatches.elapsed_s((key, place), stamp, moment) for place, stamp in stamps)
        running_s = 0.0 if self._began_s is None else moment.mono_s - self._began_s
        return 0.0 if running_s < GRACE_S and lasted_s > running_s else lasted_s


def _case(incident: Incident, rows: Sequence[Delivery], times: Times, now: datetime) -> _Case:
    loud = [route for route in times.taken(incident) if route.quiet_until(incident, now) is None]
    return _Case(incident, rows, loud)
