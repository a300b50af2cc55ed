"""What is due because of the time alone: of open incidents, by their rows and the routes of now.

Nothing of it is kept in memory that could be lost: it looks again and again, and what it finds due is a row.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

from alerts.outbox.acts import unheard
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
        woken = [row for case in cases for row in _woken(case, times, moment.utc)]
        due = self._deliveries.wake(woken, moment.utc) if woken else 0
        return due + sum(self._tell_others(case, moment) for case in cases)

    def _tell_others(self, case: _Case, moment: Moment) -> int:
        """Have sinks hear of it that did not until now."""
        wants = {want.sink: want for want in self._fallbacks(case, moment)}
        for want in wants.values():
            log.warning("told_elsewhere", incident=case.incident.name, sink=want.sink, because=want.why)
        return self._incidents.announce([case.incident], tuple(wants.values())) if wants else 0

    def _fallbacks(self, case: _Case, moment: Moment) -> Iterator[Want]:
        """For each route with a sink that has not taken for too long what people are to hear."""
        for route in case.routes:
            lacking = case.lacks(route.fallback)
            if not lacking or case.incident.peak < route.fallback_severity:
                continue
            for row in case.rows:
                waits_s = self._waits_s(case.incident, row, moment) if row.sink in route.sinks else 0.0
                if waits_s >= route.fallback_after_s:
                    why = f"Told here because {row.sink} has not taken it for {format_duration(waits_s)}"
                    for sink in lacking:
                        yield Want(0, sink, case.incident.severity, route.mention, why)

    def _waits_s(self, incident: Incident, row: Delivery, moment: Moment) -> float:
        """How long the row has waited for what people there are to hear; 0 where nothing does, or just after a start."""
        if row.status in _AT_REST or not unheard(incident, row):
            return 0.0
        waits_s = self._stopwatches.elapsed_s((row.incident_id, row.sink), row.due_since, moment)
        just_began = self._began_s is None or moment.mono_s - self._began_s < GRACE_S
        return 0.0 if just_began and self._older(row, moment) else waits_s

    def _older(self, row: Delivery, moment: Moment) -> bool:
        """Whether it waited before this process began: then nobody knows yet how the sink is now."""
        began_s = moment.mono_s if self._began_s is None else self._began_s
        return (moment.utc - row.due_since).total_seconds() > moment.mono_s - began_s


def _case(incident: Incident, rows: Sequence[Delivery], times: Times, now: datetime) -> _Case:
    loud = [route for route in times.taken(incident) if route.quiet_until(incident, now) is None]
    return _Case(incident, rows, loud)


def _woken(case: _Case, times: Times, now: datetime) -> Iterator[Delivery]:
    """What was settled without being told, because it was muted, and is muted no more."""
    for row in case.rows:
        settled = row.status is DeliveryStatus.SETTLED
        if (
            settled
            and unheard(case.incident, row)
            and times.muted_until(case.incident, row.sink, now) is None
        ):
            yield replace(row, why=f"Muted here by the routes until {now:%H:%M}Z")
