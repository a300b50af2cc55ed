"""What is wanted of each sink, written in the transactions of the engine."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, insert, select, update

from pgvigil.model.delivery import Act, Delivery, DeliveryStatus, Want
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.store import lost as lost_time
from pgvigil.store.deliveries import AT_REST, DELIVERY, delivery_rows, is_row, row_now, values_of
from pgvigil.store.lost import Lost


def reflect(
    connection: Connection, incident: Incident, wanted: Sequence[Want], *, remind: bool = False
) -> None:
    """Inside the transaction of a commit: `wanted` sinks must reflect `incident` as it is now; with `remind` those who
    knew of it hear that it goes on.

    So must every sink that was ever to reflect it, wanted now or not: who heard that it fires hears the end.
    """
    olds = delivery_rows(connection, select(DELIVERY).where(DELIVERY.c.incident_id == incident.id))
    wants = {each.sink: each for each in wanted}
    for old in olds:
        want = wants.pop(old.sink, None)
        if want is not None or old.want_version < incident.version:
            fresh = _fresh(incident, want or Want(0, old.sink, incident.severity))
            left = want is None and old.status is DeliveryStatus.LEFT
            raised = replace(old, want_version=fresh.want_version) if left else _raised(old, fresh)
            raised = replace(raised, want_reminder=raised.want_reminder + remind)
            connection.execute(update(DELIVERY).where(is_row(old)).values(values_of(raised)))
    lost = lost_time.current(connection, incident.evaluated_at) if wants else None
    for want in wants.values():
        fresh = _fresh(incident, want)
        if lost is not None:
            fresh = in_doubt(fresh, lost, ((incident.state, incident.severity),))
        connection.execute(insert(DELIVERY).values(values_of(fresh)))


def in_doubt(row: Delivery, lost: Lost, perhaps: tuple[tuple[State, Level], ...]) -> Delivery:
    """`row` when more may have been told of its incident, or of one with its fault, than the store knows."""
    return replace(
        row,
        status=DeliveryStatus.AMBIGUOUS,
        act_key=Act.lost(row.incident_id, lost.highest).key,
        act_at=lost.since,
        maybe_seen=(*(each for each in row.maybe_seen if each not in perhaps), *perhaps),
        not_before=None,
    )


def strangers(connection: Connection, pairs: Sequence[tuple[Incident, Want]]) -> list[Delivery]:
    """The rows that are missing of those that `pairs` ask for."""
    asked = [_fresh(incident, want) for incident, want in pairs]
    return [fresh for fresh in asked if row_now(connection, fresh) is None]


def introduce(connection: Connection, unknown: Sequence[Delivery]) -> None:
    """Write the rows that are still missing."""
    for fresh in unknown:
        if row_now(connection, fresh) is None:
            connection.execute(insert(DELIVERY).values(values_of(fresh)))


def _fresh(incident: Incident, want: Want) -> Delivery:
    return Delivery(
        incident_id=incident.id,
        sink=want.sink,
        want_version=incident.version,
        urgency=want.urgency,
        due_since=incident.evaluated_at,
        mention=want.mention,
        why=want.why,
    )


def _raised(old: Delivery, fresh: Delivery) -> Delivery:
    """`old` with the newer demand. A parked row gets another chance, because what it says has changed."""
    settled = old.status in AT_REST
    parked = old.status is DeliveryStatus.PARKED
    again = DeliveryStatus.AMBIGUOUS if old.act_key else DeliveryStatus.DUE
    return replace(
        old,
        want_version=max(old.want_version, fresh.want_version),
        urgency=fresh.urgency,
        mention=fresh.mention or old.mention,
        due_since=fresh.due_since if settled else old.due_since,
        status=again if settled or parked else old.status,
        not_before=None if settled or parked else old.not_before,
    )
