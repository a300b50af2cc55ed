"""Puts in doubt what the lost time may have told of incidents that the file has."""

from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from pgvigil.model.delivery import Delivery, DeliveryStatus
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.store import lost
from pgvigil.store.deliveries import DELIVERY
from pgvigil.store.incidents import INCIDENT, matching
from pgvigil.store.wants import in_doubt


def begin(connection: Connection, since: datetime) -> None:
    """The process before ended while the file lacked what was done since then."""
    loss = lost.begin(connection, since)
    may_have_changed = or_(INCIDENT.c.state != State.RESOLVED, INCIDENT.c.resolved_at >= since - lost.ECHO)
    for incident in matching(connection, may_have_changed):
        where = (DELIVERY.c.incident_id == incident.id, DELIVERY.c.status != DeliveryStatus.LEFT)
        for row in connection.execute(select(DELIVERY).where(*where)).mappings().all():
            doubted = in_doubt(Delivery(**row), loss, _perhaps_told(incident))
            connection.execute(
                update(DELIVERY)
                .where(*where, DELIVERY.c.sink == doubted.sink)
                .values({column.name: getattr(doubted, column.name) for column in DELIVERY.columns})
            )


def _perhaps_told(incident: Incident) -> tuple[tuple[State, Level], ...]:
    """It may have ended and begun again, any number of times."""
    return ((State.FIRING, incident.peak), (State.RESOLVED, incident.severity))
