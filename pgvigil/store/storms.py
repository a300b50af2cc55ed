"""Digests that go on after they were told, one a sink at most. Written by that sink's outbox alone."""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from pgvigil.model.delivery import Delivery, DeliveryStatus
from pgvigil.model.digest import Storm
from pgvigil.model.incident import Incident, State
from pgvigil.store.database import Database
from pgvigil.store.deliveries import DELIVERY, change, delivery_rows, is_row
from pgvigil.store.incidents import INCIDENT, matching
from pgvigil.store.schema import METADATA, REMOTE, STAMP, TEXT, TOLD

STORM = Table(
    "storm",
    METADATA,
    Column("sink", TEXT, primary_key=True),
    Column("digest_id", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("since", STAMP, nullable=False),
    Column("told_at", STAMP, nullable=False),
    Column("remote", REMOTE, nullable=False),
    Column("roster", TOLD, nullable=False),
)

Changes = Mapping[int, Callable[[Delivery], Delivery]]


def storm_of(connection: Connection, sink: str) -> Storm | None:
    """Inside a transaction: the one of `sink`."""
    found = connection.execute(select(STORM).where(STORM.c.sink == sink)).mappings().first()
    return None if found is None else Storm(**found)


def put_storm(connection: Connection, storm: Storm) -> None:
    """Inside a transaction: as it is now, whether or not it was there."""
    values = {column.name: getattr(storm, column.name) for column in STORM.columns}
    connection.execute(delete(STORM).where(STORM.c.sink == storm.sink))
    connection.execute(insert(STORM).values(values))


class Storms:
    """Every call may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, sink: str) -> Storm | None:
        return self._database.read(lambda connection: storm_of(connection, sink))

    def begun(self, sink: str, since: datetime) -> int:
        """How many open incidents that nothing keeps quiet have begun to fire since then, of those that the sink is to
        reflect.
        """
        query = (
            select(func.count())
            .select_from(DELIVERY.join(INCIDENT, INCIDENT.c.id == DELIVERY.c.incident_id))
            .where(DELIVERY.c.sink == sink, INCIDENT.c.fired_at >= since)
            .where(text("incident.state <> 'resolved'"))  # in the words of the index of what is open
            .where(INCIDENT.c.suppressed_by.is_(None), INCIDENT.c.silenced_by.is_(None))
        )
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def members(self, storm: Storm) -> list[tuple[Incident, Delivery]]:
        """What it tells of, what the sink has yet to hear of for the first time, and what has begun since and was told
        by itself: all of one moment.
        """
        return self._database.read(lambda connection: _members(connection, storm))

    def put(self, storm: Storm, changes: Changes) -> None:
        """It was told as it is now: in one go with what that means for the rows named."""
        self._database.write(lambda connection: _put(connection, storm, changes))

    def end(self, storm: Storm, changes: Changes, *, release: bool = True) -> None:
        """It is over; what it alone tells of and still goes on is due once more, to be told by itself. Without `release`
        that is as if people had deleted the message of each.
        """
        self._database.write(lambda connection: _end(connection, storm, changes, release=release))


def _members(connection: Connection, storm: Storm) -> list[tuple[Incident, Delivery]]:
    known = DELIVERY.c.incident_id.in_([sight.incident_id for sight in storm.roster])
    unheard = and_(DELIVERY.c.seen_state.is_(None), DELIVERY.c.status != DeliveryStatus.SETTLED)
    alone = DELIVERY.c.incident_id.in_(
        select(INCIDENT.c.id).where(text("incident.state <> 'resolved'"), INCIDENT.c.fired_at >= storm.since)
    )
    of_sink = DELIVERY.c.sink == storm.sink
    rows = delivery_rows(connection, select(DELIVERY).where(of_sink, or_(known, unheard, alone)))
    which = INCIDENT.c.id.in_([row.incident_id for row in rows])
    by_id = {incident.id: incident for incident in matching(connection, which)}
    return [(by_id[row.incident_id], row) for row in rows if row.incident_id in by_id]


def _put(connection: Connection, storm: Storm, changes: Changes) -> None:
    for incident_id, done in changes.items():
        change(connection, incident_id, storm.sink, done)
    put_storm(connection, storm)


def _end(connection: Connection, storm: Storm, changes: Changes, *, release: bool) -> None:
    for incident_id, done in changes.items():
        change(connection, incident_id, storm.sink, done)
    connection.execute(delete(STORM).where(STORM.c.sink == storm.sink))
    if not storm.remote or not release:
        return
    told = {sight.incident_id for sight in storm.roster}
    query = select(DELIVERY).where(DELIVERY.c.sink == storm.sink, DELIVERY.c.incident_id.in_(told))
    for row in delivery_rows(connection, query):
        if _waits(row, storm):
            due = {"status": DeliveryStatus.DUE, "due_since": storm.told_at}
            connection.execute(update(DELIVERY).where(is_row(row)).values(due))


def _waits(row: Delivery, storm: Storm) -> bool:
    """Whether only the storm's message tells of it, and it goes on."""
    lasts = row.seen_state in (State.FIRING, State.UNKNOWN)
    alone = not row.remote and dict(row.thread) == dict(storm.remote)
    return row.status is DeliveryStatus.SETTLED and lasts and alone
