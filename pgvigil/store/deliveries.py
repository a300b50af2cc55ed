"""What each sink must reflect of each incident. The engine raises the demand (see `wants`); the outbox does the rest.

The two meet on the same rows: the engine writes only what is wanted, the outbox only what was done, and the
outbox writes only where a row is as it was read.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Select,
    Table,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    update,
)

from pgvigil.model.delivery import Act, Delivery, DeliveryStatus
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.store.database import Database
from pgvigil.store.schema import LEVEL, METADATA, REMOTE, SIGHTS, STAMP, STATE, STATUS, TEXT

DELIVERY = Table(
    "delivery",
    METADATA,
    Column("incident_id", Integer, ForeignKey("incident.id", ondelete="CASCADE"), primary_key=True),
    Column("sink", TEXT, primary_key=True),
    Column("want_version", Integer, nullable=False),
    Column("urgency", LEVEL, nullable=False),
    Column("due_since", STAMP, nullable=False),
    Column("status", STATUS, nullable=False),
    Column("mention", TEXT, nullable=False),
    Column("why", TEXT, nullable=False, server_default=""),
    Column("want_reminder", Integer, nullable=False, server_default="0"),
    Column("seen_reminder", Integer, nullable=False, server_default="0"),
    Column("told_at", STAMP),
    Column("seen_version", Integer, nullable=False),
    Column("seen_state", STATE),
    Column("seen_level", LEVEL),
    Column("remote", REMOTE, nullable=False),
    Column("thread", REMOTE, nullable=False),
    Column("act_key", TEXT),
    Column("act_at", STAMP),
    Column("maybe_seen", SIGHTS, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", STAMP),
    Column("last_error", TEXT, nullable=False),
    Index("delivery_queue", "sink", "status", "urgency", "due_since"),
)

_WAITING = (DeliveryStatus.DUE, DeliveryStatus.AMBIGUOUS, DeliveryStatus.PARKED)
AT_REST = (DeliveryStatus.SETTLED, DeliveryStatus.LEFT)  # nobody is about to be told anything
_WANTED = frozenset(
    {"incident_id", "sink", "want_version", "urgency", "due_since", "mention", "why", "want_reminder"}
)
_DONE = [column for column in DELIVERY.columns if column.name not in _WANTED]
_AS_READ = ("status", "act_key", "attempts", "seen_version")  # if these are as they were, so is the rest


@dataclass(frozen=True, slots=True)
class Queue:
    """How far behind one sink is."""

    pending: int = 0
    parked: int = 0
    oldest_due_since: datetime | None = None


def delivery_rows(connection: Connection, query: Select[Any]) -> list[Delivery]:
    return [Delivery(**row) for row in connection.execute(query).mappings()]


def row_now(connection: Connection, delivery: Delivery) -> Delivery | None:
    """The row of the same incident and sink as it is now."""
    found = delivery_rows(connection, select(DELIVERY).where(is_row(delivery)))
    return found[0] if found else None


def is_row(delivery: Delivery) -> ColumnElement[bool]:
    return and_(DELIVERY.c.incident_id == delivery.incident_id, DELIVERY.c.sink == delivery.sink)


def values_of(delivery: Delivery) -> dict[str, object]:
    return {column.name: getattr(delivery, column.name) for column in DELIVERY.columns}


def change(connection: Connection, incident_id: int, sink: str, done: Callable[[Delivery], Delivery]) -> None:
    """Inside the transaction of a digest: the row as `done` makes it, or due again when more is wanted."""
    where = and_(DELIVERY.c.incident_id == incident_id, DELIVERY.c.sink == sink)
    for row in delivery_rows(connection, select(DELIVERY).where(where)):
        changed = done(row)
        if changed.status is DeliveryStatus.SETTLED and changed.want_version > changed.seen_version:
            changed = replace(changed, status=DeliveryStatus.DUE)
        connection.execute(update(DELIVERY).where(where).values(values_of(changed)))


class Deliveries:
    """The queue of each sink. A row that another thread changed meanwhile is given back as None."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, sink: str, now: datetime, limit: int = 1) -> list[Delivery]:
        """What may be tried now: the most urgent first, then what has waited longest."""
        query = (
            select(DELIVERY)
            .where(DELIVERY.c.sink == sink, DELIVERY.c.status.in_(_WAITING))
            .where(or_(DELIVERY.c.not_before.is_(None), DELIVERY.c.not_before <= now))
            .order_by(DELIVERY.c.urgency.desc(), DELIVERY.c.due_since, DELIVERY.c.incident_id)
            .limit(limit)
        )
        return self._database.read(lambda connection: delivery_rows(connection, query))

    def next_at(self, sink: str, now: datetime) -> datetime | None:
        """When the next of the rows may be tried that wait for a time after `now`; None when there is none."""
        query = (
            select(DELIVERY)
            .where(DELIVERY.c.sink == sink, DELIVERY.c.status.in_(_WAITING), DELIVERY.c.not_before > now)
            .order_by(DELIVERY.c.not_before)
            .limit(1)
        )
        found = self._database.read(lambda connection: delivery_rows(connection, query))
        return found[0].not_before if found else None

    def get(self, incident_id: int, sink: str) -> Delivery | None:
        query = select(DELIVERY).where(DELIVERY.c.incident_id == incident_id, DELIVERY.c.sink == sink)
        found = self._database.read(lambda connection: delivery_rows(connection, query))
        return found[0] if found else None

    def of_incident(self, incident_id: int) -> list[Delivery]:
        query = select(DELIVERY).where(DELIVERY.c.incident_id == incident_id).order_by(DELIVERY.c.sink)
        return self._database.read(lambda connection: delivery_rows(connection, query))

    def of_incidents(self, incident_ids: Collection[int]) -> Mapping[int, Sequence[Delivery]]:
        """By incident, those that there are."""
        query = select(DELIVERY).where(DELIVERY.c.incident_id.in_(incident_ids)).order_by(DELIVERY.c.sink)
        found: dict[int, list[Delivery]] = {}
        for row in self._database.read(lambda connection: delivery_rows(connection, query)):
            found.setdefault(row.incident_id, []).append(row)
        return found

    def wake(self, read: Sequence[Delivery], at: datetime) -> int:
        """What is settled is due once more, since `at`, as `read` says why: what kept it quiet is over, or it is time
        to remind people. A row that is not as it was read is left. Returns how many are due.
        """
        return self._database.write(lambda connection: sum(_wake(connection, row, at) for row in read))

    def begin(self, read: Delivery, act: Act, incident: Incident, at: datetime) -> Delivery | None:
        """Persist that a creating act is about to be tried: from here to the next write it may have arrived."""
        told = (incident.state, incident.severity)
        return self._swap(
            read,
            replace(
                read,
                status=DeliveryStatus.SENDING,
                act_key=act.key,
                act_at=at,
                maybe_seen=(*(each for each in read.maybe_seen if each != told), told),
            ),
        )

    def settle(
        self,
        read: Delivery,
        *,
        version: int,
        state: State | None,
        level: Level | None,
        remote: Mapping[str, str],
        at: datetime,
        told_at: datetime | None = None,
        reminder: int = 0,
    ) -> Delivery | None:
        """People have seen `version`. Settled, or due again when more is wanted by now (since `at`). `told_at` is when
        they heard something, if they did; `reminder` the last that is done with.
        """
        return self._swap(
            read,
            replace(
                read,
                status=DeliveryStatus.SETTLED,
                seen_version=version,
                seen_state=state,
                seen_level=level,
                seen_reminder=max(reminder, read.seen_reminder),
                told_at=told_at or read.told_at,
                remote=remote,
                act_key=None,
                act_at=None,
                maybe_seen=(),
                attempts=0,
                not_before=None,
                last_error="",
            ),
            due_since=at,
        )

    def put_back(self, read: Delivery, changed: Delivery) -> Delivery | None:
        """Write what `changed` says was done, after an attempt that did not settle the row."""
        return self._swap(read, changed)

    def interrupted(self, sink: str) -> int:
        """At start: what was being sent when the process ended may have arrived. Returns how many rows."""
        change = (
            update(DELIVERY)
            .where(DELIVERY.c.sink == sink, DELIVERY.c.status == DeliveryStatus.SENDING)
            .values(status=DeliveryStatus.AMBIGUOUS, not_before=None)
        )
        return self._database.write(lambda connection: connection.execute(change).rowcount)

    def release(self, sink: str) -> int:
        """Let every waiting row of the sink be tried now: it works again, or the wall clock has stepped."""
        change = (
            update(DELIVERY)
            .where(DELIVERY.c.sink == sink, DELIVERY.c.not_before.is_not(None))
            .values(not_before=None)
        )
        return self._database.write(lambda connection: connection.execute(change).rowcount)

    def again(self, sink: str, now: datetime) -> int:
        """What people last saw going on is due once more, as it is now. Returns how many rows."""
        change = (
            update(DELIVERY)
            .where(DELIVERY.c.sink == sink, DELIVERY.c.status == DeliveryStatus.SETTLED)
            .where(DELIVERY.c.seen_state.in_((State.FIRING, State.UNKNOWN)))
            .values(status=DeliveryStatus.DUE, due_since=now)
        )
        return self._database.write(lambda connection: connection.execute(change).rowcount)

    def sinks(self) -> set[str]:
        """The sinks that are to reflect something, whether or not they still do."""
        query = select(DELIVERY.c.sink).where(DELIVERY.c.status != DeliveryStatus.LEFT).distinct()
        return set(self._database.read(lambda connection: connection.scalars(query).all()))

    def leave(self, sink: str) -> int:
        """The sink is no longer configured: it is told nothing more. Returns how many incidents it will miss.

        What people there have seen, or may have, is kept, so that it can be put right if the sink returns.
        """
        return self._database.write(lambda connection: _leave(connection, sink))

    def take_up(self, sink: str) -> None:
        """The sink is configured, perhaps again: what people there have seen is to be put right."""
        ahead = DELIVERY.c.want_version > DELIVERY.c.seen_version
        change = (
            update(DELIVERY)
            .where(DELIVERY.c.sink == sink, DELIVERY.c.status == DeliveryStatus.LEFT)
            .values(
                status=case(
                    (DELIVERY.c.act_key.is_not(None), DeliveryStatus.AMBIGUOUS),
                    (ahead, DeliveryStatus.DUE),
                    else_=DeliveryStatus.SETTLED,
                )
            )
        )
        self._database.write(lambda connection: connection.execute(change))

    def stats(self) -> Mapping[str, Queue]:
        """The queue of each sink that has one."""
        parked = DELIVERY.c.status == DeliveryStatus.PARKED
        query = (
            select(
                DELIVERY.c.sink,
                func.count(),
                func.count().filter(parked),
                func.min(DELIVERY.c.due_since),
            )
            .where(DELIVERY.c.status.not_in(AT_REST))
            .group_by(DELIVERY.c.sink)
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {sink: Queue(pending, waits, oldest) for sink, pending, waits, oldest in rows}

    def _swap(self, read: Delivery, new: Delivery, due_since: datetime | None = None) -> Delivery | None:
        return self._database.write(lambda connection: _swap(connection, read, new, due_since))


def _wake(connection: Connection, read: Delivery, at: datetime) -> bool:
    now = row_now(connection, read)
    if now is None or now.status is not DeliveryStatus.SETTLED or now.seen_version != read.seen_version:
        return False
    wanted = max(now.want_reminder, read.want_reminder)
    due = replace(now, status=DeliveryStatus.DUE, due_since=at, why=read.why, want_reminder=wanted)
    connection.execute(update(DELIVERY).where(is_row(read)).values(values_of(due)))
    return True


def _leave(connection: Connection, sink: str) -> int:
    of_sink = DELIVERY.c.sink == sink
    waits = select(func.count()).where(of_sink, DELIVERY.c.status.not_in(AT_REST))
    missed: int = connection.execute(waits).scalar_one()
    unseen = and_(DELIVERY.c.seen_state.is_(None), DELIVERY.c.act_key.is_(None), DELIVERY.c.maybe_seen == ())
    connection.execute(delete(DELIVERY).where(of_sink, unseen))
    connection.execute(
        update(DELIVERY).where(of_sink).values(status=DeliveryStatus.LEFT, not_before=None, last_error="")
    )
    return missed


def _swap(
    connection: Connection, read: Delivery, new: Delivery, due_since: datetime | None
) -> Delivery | None:
    now = row_now(connection, read)
    if now is None or any(getattr(now, name) != getattr(read, name) for name in _AS_READ):
        return None
    done = replace(now, **{column.name: getattr(new, column.name) for column in _DONE})
    if done.status is DeliveryStatus.SETTLED and done.want_version > done.seen_version:
        done = replace(done, status=DeliveryStatus.DUE, due_since=due_since or now.due_since)
    connection.execute(update(DELIVERY).where(is_row(read)).values(values_of(done)))
    return done
