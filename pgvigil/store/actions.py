"""What people did to incidents. Written and read inside the transactions of the incidents' own family."""

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Table,
    delete,
    insert,
    select,
)

from pgvigil.model.action import FEEDBACK, Action, ActionKind, Actor
from pgvigil.store.schema import ACTION_KIND, DOOR, METADATA, STAMP, TEXT

MOST_KEPT = 200  # of one incident: a program that acts in a loop must not fill the disk

ACTION = Table(
    "action",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("incident_id", Integer, ForeignKey("incident.id", ondelete="CASCADE"), nullable=False),
    Column("kind", ACTION_KIND, nullable=False),
    Column("actor", TEXT, nullable=False),
    Column("door", DOOR, nullable=False),
    Column("at", STAMP, nullable=False),
    Column("note", TEXT, nullable=False),
    Index("action_incident", "incident_id", "at"),
)


def put(connection: Connection, action: Action) -> None:
    """Remember it, and of its incident the newest only."""
    connection.execute(
        insert(ACTION).values(
            id=action.id,
            incident_id=action.incident_id,
            kind=action.kind,
            actor=action.actor.name,
            door=action.actor.door,
            at=action.at,
            note=action.note,
        )
    )
    of_it = ACTION.c.incident_id == action.incident_id
    older = select(ACTION.c.id).where(of_it).order_by(ACTION.c.at.desc(), ACTION.c.id).offset(MOST_KEPT)
    connection.execute(delete(ACTION).where(of_it, ACTION.c.id.in_(older.limit(-1))))


def find(connection: Connection, action_id: str) -> Action | None:
    found = matching(connection, ACTION.c.id == action_id)
    return found[0] if found else None


def matching(connection: Connection, which: ColumnElement[bool]) -> list[Action]:
    """The oldest first."""
    rows = connection.execute(select(ACTION).where(which).order_by(ACTION.c.at, ACTION.c.id)).mappings()
    return [
        Action(
            id=row["id"],
            kind=row["kind"],
            incident_id=row["incident_id"],
            actor=Actor(row["actor"], row["door"]),
            at=row["at"],
            note=row["note"],
        )
        for row in rows
    ]


def verdicts(connection: Connection, *which: ColumnElement[bool]) -> dict[tuple[int, str], ActionKind]:
    """The last word of each person on each incident, by the incident's id and the person's name."""
    query = select(ACTION.c.incident_id, ACTION.c.actor, ACTION.c.kind).where(
        ACTION.c.kind.in_(FEEDBACK), *which
    )
    rows = connection.execute(query.order_by(ACTION.c.at, ACTION.c.id))
    return {(incident_id, actor): kind for incident_id, actor, kind in rows}
