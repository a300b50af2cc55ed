"""What is due because of the time alone: of open incidents, by their rows and the routes of now.

Nothing of it is kept in memory that could be lost: it looks again and again, and what it finds due is a row.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from alerts.outbox.acts import unheard
from pgvigil.model.delivery import Delivery, DeliveryStatus
from pgvigil.model.incident import Incident, State
from pgvigil.model.moment import Moment
from pgvigil.store.deliveries import Deliveries


class Times(Protocol):
    """What the routes of now say of time."""

    @property
    def timed(self) -> bool:
        """Whether they say anything."""

    def muted_until(self, incident: Incident, sink: str, now: datetime) -> datetime | None:
        """When the sink may hear what is new of it; None where that is now."""


class Timekeeper:
    """For one thread."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._looked = False  # with routes that say nothing of time, and nothing was left of others

    def look(self, incidents: Collection[Incident], times: Times, moment: Moment) -> int:
        """Make due what is; returns how many rows are. Raises StoreError."""
        if not times.timed and self._looked:
            return 0
        fired = [one for one in incidents if one.state in (State.FIRING, State.UNKNOWN)]
        rows = self._deliveries.of_incidents([one.id for one in fired]) if fired else {}
        woken = [row for one in fired for row in _woken(one, rows.get(one.id, ()), times, moment.utc)]
        due = self._deliveries.wake(woken, moment.utc) if woken else 0
        self._looked = not times.timed
        return due


def _woken(incident: Incident, rows: Sequence[Delivery], times: Times, now: datetime) -> Iterator[Delivery]:
    """What was settled without being told, because it was muted, and is muted no more."""
    for row in rows:
        settled = row.status is DeliveryStatus.SETTLED
        if settled and unheard(incident, row) and times.muted_until(incident, row.sink, now) is None:
            yield replace(row, why=f"Muted here by the routes until {now:%H:%M}Z")
