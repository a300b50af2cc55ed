"""What each sink is still to hear in one message. The daemon opens them at its start, the outbox those of storms and
does the rest.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    Select,
    Table,
    UniqueConstraint,
    delete,
    insert,
    or_,
    select,
    update,
)

from pgvigil.model.delivery import Delivery, DeliveryStatus
from pgvigil.model.digest import DigestCause, DigestDelivery, DigestStatus, Storm
from pgvigil.model.incident import Incident, State
from pgvigil.store.database import Database
from pgvigil.store.deliveries import DELIVERY, change
from pgvigil.store.incidents import INCIDENT, matching
from pgvigil.store.schema import DIGEST_CAUSE, DIGEST_STATUS, METADATA, STAMP, TEXT, TOLD
from pgvigil.store.storms import STORM, put_storm

DIGEST = Table(
    "digest",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sink", TEXT, nullable=False),
    Column("since", STAMP, nullable=False),
    Column("until", STAMP, nullable=False),
    Column("settle_by", STAMP, nullable=False),
    Column("part", Integer, nullable=False),
    Column("status", DIGEST_STATUS, nullable=False),
    Column("act_at", STAMP),
    Column("told", TOLD, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", STAMP),
    Column("last_error", TEXT, nullable=False),
    Column("cause", DIGEST_CAUSE, nullable=False, server_default=DigestCause.PAUSE.value),
    UniqueConstraint("sink", name="digest_sink"),
    sqlite_autoincrement=True,  # an id is never given again: reconciliation looks for it
)


def _digests(connection: Connection, query: Select[Any]) -> list[DigestDelivery]:
    return [DigestDelivery(**row) for row in connection.execute(query).mappings()]


def _values(digest: DigestDelivery) -> dict[str, object]:
    return {column.name: getattr(digest, column.name) for column in DIGEST.columns if column.name != "id"}


class Digests:
    """At most one a sink. Written by that sink's outbox alone, once it runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, sinks: Collection[str], *, since: datetime, until: datetime, settle_by: datetime) -> None:
        """After a pause each of `sinks` is to hear of it. What was still to be said of an earlier one joins in."""
        self._database.write(lambda connection: _open(connection, sinks, since, until, settle_by))

    def add(self, digest: DigestDelivery) -> None:
        """One more to be told, unless the sink has one; it is given an id where that is 0."""
        self._database.write(lambda connection: _add(connection, digest))

    def retain(self, sinks: Collection[str]) -> None:
        """Forget those of sinks that are no longer there, and their storms."""

        def work(connection: Connection) -> None:
            connection.execute(delete(DIGEST).where(DIGEST.c.sink.not_in(sinks)))
            connection.execute(delete(STORM).where(STORM.c.sink.not_in(sinks)))

        self._database.write(work)

    def get(self, sink: str) -> DigestDelivery | None:
        query = select(DIGEST).where(DIGEST.c.sink == sink)
        found = self._database.read(lambda connection: _digests(connection, query))
        return found[0] if found else None

    def standing(self, sink: str) -> list[tuple[Incident, Delivery]]:
        """What the sink has yet to reflect, and what people there last saw open: all of one moment."""
        return self._database.read(lambda connection: _standing(connection, sink))

    def put(self, digest: DigestDelivery) -> DigestDelivery:
        """Write it as it is now."""
        self._database.write(lambda connection: _put(connection, digest))
        return digest

    def interrupted(self, sink: str) -> None:
        """At start: what was being sent when the process ended may have arrived; and nothing waits."""
        query = select(DIGEST).where(DIGEST.c.sink == sink)

        def work(connection: Connection) -> None:
            for digest in _digests(connection, query):
                sending = digest.status is DigestStatus.SENDING
                status = DigestStatus.AMBIGUOUS if sending else digest.status
                _put(connection, replace(digest, status=status, not_before=None))

        self._database.write(work)

    def finish(
        self,
        digest: DigestDelivery,
        changes: Mapping[int, Callable[[Delivery], Delivery]],
        *,
        goes_on: DigestDelivery | None = None,
        storm: Storm | None = None,
    ) -> None:
        """It is said, or given up: in one go it ends, or becomes `goes_on`, each row named is changed, and its storm is
        as it was told.
        """

        def work(connection: Connection) -> None:
            for incident_id, done in changes.items():
                change(connection, incident_id, digest.sink, done)
            if storm is not None:
                put_storm(connection, storm)
            if goes_on is None:
                connection.execute(delete(DIGEST).where(DIGEST.c.id == digest.id))
            else:
                _put(connection, goes_on)

        self._database.write(work)


def _put(connection: Connection, digest: DigestDelivery) -> None:
    connection.execute(update(DIGEST).where(DIGEST.c.id == digest.id).values(_values(digest)))


def _open(
    connection: Connection, sinks: Collection[str], since: datetime, until: datetime, settle_by: datetime
) -> None:
    known = {digest.sink: digest for digest in _digests(connection, select(DIGEST))}
    for sink in sinks:
        earlier = known.get(sink)
        if earlier is not None:
            later = replace(earlier, until=until, settle_by=settle_by, cause=DigestCause.PAUSE)
            _put(connection, later)
        else:
            fresh = DigestDelivery(id=0, sink=sink, since=since, until=until, settle_by=settle_by)
            connection.execute(insert(DIGEST).values(_values(fresh)))


def _add(connection: Connection, digest: DigestDelivery) -> None:
    taken = select(DIGEST.c.id).where(DIGEST.c.sink == digest.sink)
    if connection.execute(taken).first() is None:
        given = {"id": digest.id} if digest.id else {}
        connection.execute(insert(DIGEST).values(_values(digest) | given))


def _standing(connection: Connection, sink: str) -> list[tuple[Incident, Delivery]]:
    seen_open = DELIVERY.c.seen_state.in_((State.FIRING, State.UNKNOWN))
    wanted = (DELIVERY.c.sink == sink, or_(DELIVERY.c.status != DeliveryStatus.SETTLED, seen_open))
    rows = [Delivery(**row) for row in connection.execute(select(DELIVERY).where(*wanted)).mappings()]
    theirs = INCIDENT.c.id.in_(select(DELIVERY.c.incident_id).where(*wanted))
    by_id = {incident.id: incident for incident in matching(connection, theirs)}
    return [(by_id[row.incident_id], row) for row in rows if row.incident_id in by_id]
