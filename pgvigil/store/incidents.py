"""Incidents and their history; a commit also writes what must be said of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    Select,
    Table,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from pgvigil.model.action import Action, ActionKind, Feedback
from pgvigil.model.delivery import Want
from pgvigil.model.incident import Event, Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.store import actions
from pgvigil.store import wants as wants_of
from pgvigil.store.batches import delete_in_batches
from pgvigil.store.database import Database
from pgvigil.store.schema import EVIDENCE, KEYS, LABELS, LEVEL, METADATA, STAMP, STATE, STEPS, TEXT

INCIDENT = Table(
    "incident",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", TEXT, nullable=False),
    Column("rule", TEXT, nullable=False),
    Column("target", TEXT, nullable=False),
    Column("database", TEXT),
    Column("subject", TEXT, nullable=False),
    Column("state", STATE, nullable=False),
    Column("severity", LEVEL, nullable=False),
    Column("peak", LEVEL, nullable=False),
    Column("version", Integer, nullable=False),
    Column("summary", TEXT, nullable=False),
    Column("value", Float),
    Column("peak_value", Float),
    Column("pending_since", STAMP, nullable=False),
    Column("fired_at", STAMP),
    Column("last_true_at", STAMP, nullable=False),
    Column("state_since", STAMP, nullable=False),
    Column("evaluated_at", STAMP, nullable=False),
    Column("resolved_at", STAMP),
    Column("reason", TEXT, nullable=False),
    Column("evidence", EVIDENCE, nullable=False),
    Column("steps", STEPS, nullable=False),
    Column("about", KEYS, nullable=False),
    Column("explains", KEYS, nullable=False),
    Column("labels", LABELS, nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("parent_id", Integer),
    Column("suppressed_by", TEXT),
    Column("silenced_by", TEXT),
    Column("acknowledged_by", TEXT),
    Column("acknowledged_at", STAMP),
    Column("acknowledged_level", LEVEL),
    Column("unattended_since", STAMP),
    Column("was_silenced_by", TEXT),
    Column("silencer", TEXT),
    Column("silenced_until", STAMP),
    # One open incident per fault, whatever the program above thinks.
    Index("incident_open", "fingerprint", unique=True, sqlite_where=text("state <> 'resolved'")),
    Index("incident_target", "target", "state", "resolved_at"),
    Index("incident_resolved_at", "resolved_at"),
    sqlite_autoincrement=True,  # the id of an incident that was dropped or pruned is never given again
)

EVENT = Table(
    "incident_event",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("incident_id", Integer, ForeignKey("incident.id", ondelete="CASCADE"), nullable=False),
    Column("at", STAMP, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("version", Integer, nullable=False),
    Column("why", TEXT, nullable=False),
    Column("severity", LEVEL, nullable=False),
    Column("state", STATE, nullable=False),
    Index("incident_event_incident", "incident_id"),
)

_NOUN = [column for column in INCIDENT.columns if column.name != "fingerprint"]
_Written = list[Incident]  # named here, because `list` below is a method
_Events = list[Event]
_OPEN = (State.PENDING, State.FIRING, State.UNKNOWN)


def _incidents(connection: Connection, query: Select[Any]) -> list[Incident]:
    return [Incident(**row) for row in connection.execute(query).mappings()]


def matching(connection: Connection, which: ColumnElement[bool]) -> list[Incident]:
    """Inside a transaction of another family: the incidents that `which` selects."""
    return _incidents(connection, select(*_NOUN).where(which))


def _feedback(connection: Connection) -> list[Feedback]:
    fired = select(INCIDENT.c.id, INCIDENT.c.rule).where(INCIDENT.c.state != State.PENDING)
    rules: dict[int, str] = {row.id: row.rule for row in connection.execute(fired)}
    said = Counter(
        (rules[incident_id], kind)
        for (incident_id, _), kind in actions.verdicts(connection).items()
        if incident_id in rules
    )
    return [
        Feedback(rule, count, said[rule, ActionKind.USEFUL], said[rule, ActionKind.NOISE])
        for rule, count in sorted(Counter(rules.values()).items())
    ]


def _events(connection: Connection, query: Select[Any]) -> list[Event]:
    return [Event(**row) for row in connection.execute(query).mappings()]


def _values(incident: Incident) -> dict[str, object]:
    values = {column.name: getattr(incident, column.name) for column in INCIDENT.columns}
    if not incident.id:
        del values["id"]
    return values


class Incidents:
    """What happened, and is happening."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, target: str | None = None) -> list[Incident]:
        """Pending, firing and unknown ones, oldest first."""
        return self.list(states=_OPEN, target=target, limit=None)[::-1]

    def recent(self, target: str, since: datetime) -> list[Incident]:
        """Those resolved at `since` or later, oldest first: what may be opened again."""
        query = (
            select(*_NOUN)
            .where(INCIDENT.c.target == target, INCIDENT.c.state == State.RESOLVED)
            .where(INCIDENT.c.resolved_at >= since)
            .order_by(INCIDENT.c.resolved_at)
        )
        return self._database.read(lambda connection: _incidents(connection, query))

    def resolved(self, since: datetime, limit: int) -> _Written:
        """Those of all targets that resolved at `since` or later, the newest first."""
        query = (
            select(*_NOUN)
            .where(INCIDENT.c.state == State.RESOLVED, INCIDENT.c.resolved_at >= since)
            .order_by(INCIDENT.c.resolved_at.desc())
            .limit(limit)
        )
        return self._database.read(lambda connection: _incidents(connection, query))

    def get(self, incident_id: int) -> Incident | None:
        query = select(*_NOUN).where(INCIDENT.c.id == incident_id)
        found = self._database.read(lambda connection: _incidents(connection, query))
        return found[0] if found else None

    def list(
        self,
        *,
        states: Sequence[State] | None = None,
        target: str | None = None,
        rule: str | None = None,
        limit: int | None = 200,
    ) -> list[Incident]:
        """Open ones before resolved ones, the newest first."""
        order = (INCIDENT.c.state == State.RESOLVED, INCIDENT.c.id.desc())
        ids = select(INCIDENT.c.id).order_by(*order)  # first, because rows are large and most are not wanted
        if states is not None:
            ids = ids.where(INCIDENT.c.state.in_(states))
        if target is not None:
            ids = ids.where(INCIDENT.c.target == target)
        if rule is not None:
            ids = ids.where(INCIDENT.c.rule == rule)
        if limit is not None:
            ids = ids.limit(limit)
        query = select(*_NOUN).where(INCIDENT.c.id.in_(ids)).order_by(*order)
        return self._database.read(lambda connection: _incidents(connection, query))

    def history(self, incident_id: int) -> _Events:
        """Its transitions, oldest first; those that only brought new figures are not kept."""
        names = ("at", "kind", "version", "why", "severity", "state")
        query = select(*(EVENT.c[name] for name in names)).where(EVENT.c.incident_id == incident_id)
        return self._database.read(lambda connection: _events(connection, query.order_by(EVENT.c.seq)))

    def counts(self) -> Mapping[tuple[str, Level, State], int]:
        """Open incidents by rule, severity and state."""
        keys = (INCIDENT.c.rule, INCIDENT.c.severity, INCIDENT.c.state)
        query = select(*keys, func.count()).where(INCIDENT.c.state.in_(_OPEN)).group_by(*keys)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {(rule, severity, state): count for rule, severity, state, count in rows}

    def commit(
        self,
        transitions: Sequence[Transition],
        wants: Sequence[Want] = (),
        done: Sequence[Action] = (),
    ) -> _Written:
        """Write all of it in one transaction, or raise StoreError and write none.

        Returns the `after` of each transition, with its id. A pending incident that is dropped before it
        ever fired is deleted. Every sink that was ever to reflect an incident must reflect its new version
        too: `wants` may leave out those that the routes no longer name. `done` are the actions of people that led
        there.
        """
        return self._database.write(lambda connection: _commit(connection, transitions, wants, done))

    def action(self, action_id: str) -> Action | None:
        """The action of that id, if it was done."""
        return self._database.read(lambda connection: actions.find(connection, action_id))

    def actions(self, incident_id: int) -> Sequence[Action]:
        """What people did to it, as far as that is kept, the oldest first; silences are kept apart."""
        of_it = actions.ACTION.c.incident_id == incident_id
        return self._database.read(lambda connection: actions.matching(connection, of_it))

    def verdict(self, incident_id: int, actor: str) -> ActionKind | None:
        """What somebody said last of an incident."""
        of_it = actions.ACTION.c.incident_id == incident_id
        return self._database.read(lambda connection: actions.verdicts(connection, of_it)).get(
            (incident_id, actor)
        )

    def note(self, action: Action) -> None:
        """Remember an action that changes nothing of its incident."""
        self._database.write(lambda connection: actions.put(connection, action))

    def feedback(self) -> Sequence[Feedback]:
        """Of each rule whose incidents fired and are remembered, by its name."""
        return self._database.read(_feedback)

    def announce(self, incidents: Sequence[Incident], wants: Sequence[Want]) -> int:
        """Sinks that were never to reflect these incidents are to from now on, as they stand in the store.

        Whoever already is, is left alone. Returns how many of `wants` were new.
        """
        pairs = [(incidents[want.index], want) for want in wants]
        unknown = self._database.read(lambda connection: wants_of.strangers(connection, pairs))
        if unknown:
            self._database.write(lambda connection: wants_of.introduce(connection, unknown))
        return len(unknown)

    def prune(self, before: datetime, *, most: int | None = None) -> int:
        """Forget what was resolved before `before`, and the oldest of more than `most` that are resolved.

        Their history and deliveries go with them. Returns how many were forgotten.
        """
        resolved = INCIDENT.c.state == State.RESOLVED
        forgotten = delete_in_batches(
            self._database, INCIDENT.c.id, resolved & (INCIDENT.c.resolved_at < before)
        )
        if most is None:
            return forgotten
        beyond = (
            select(INCIDENT.c.id)
            .where(resolved)
            .order_by(INCIDENT.c.resolved_at.desc(), INCIDENT.c.id.desc())
        )
        ids = self._database.read(lambda connection: list(connection.execute(beyond.offset(most)).scalars()))
        return forgotten + delete_in_batches(self._database, INCIDENT.c.id, resolved, ids)

    def trim_histories(self, most: int) -> int:
        """Of each incident with more than `most` transitions keep the first and the newest; how many went."""
        crowded = select(EVENT.c.incident_id).group_by(EVENT.c.incident_id).having(func.count() > most)
        incidents = self._database.read(lambda connection: list(connection.execute(crowded).scalars()))
        return sum(self._trim_history(incident_id, most) for incident_id in incidents)

    def _trim_history(self, incident_id: int, most: int) -> int:
        of_it = EVENT.c.incident_id == incident_id
        middle = select(EVENT.c.seq).where(of_it).order_by(EVENT.c.seq.desc()).offset(most - 1)
        seqs = self._database.read(lambda connection: list(connection.execute(middle).scalars()))
        return delete_in_batches(self._database, EVENT.c.seq, of_it, seqs[:-1])


def _commit(
    connection: Connection,
    transitions: Sequence[Transition],
    wants: Sequence[Want],
    done: Sequence[Action],
) -> list[Incident]:
    kept = [_write(connection, transition) for transition in transitions]
    for index, (transition, incident) in enumerate(zip(transitions, kept, strict=True)):
        if not _never_was(transition):
            wanted = [want for want in wants if want.index == index]
            wants_of.reflect(connection, incident, wanted, remind=_silence_ended(transition))
    for action in done:
        actions.put(connection, action)
    return kept


def _silence_ended(transition: Transition) -> bool:
    """Whether people who knew of it are to hear that it goes on, and nobody looks after it."""
    before, after = transition.before, transition.after
    silent = before is not None and before.silenced_by is not None
    return silent and after.state in (State.FIRING, State.UNKNOWN) and not after.marks


def _never_was(transition: Transition) -> bool:
    return transition.kind == "dropped" and transition.after.fired_at is None


def _write(connection: Connection, transition: Transition) -> Incident:
    after = transition.after
    if _never_was(transition):
        connection.execute(delete(INCIDENT).where(INCIDENT.c.id == after.id))
        return after
    after = _put(connection, after)
    if transition.kind != "refreshed":  # two a minute, for as long as an incident is open
        _note(connection, transition, after)
    return after


def _put(connection: Connection, incident: Incident) -> Incident:
    """Insert or update; a row that has vanished under its id is written again under the same id."""
    values = _values(incident)
    if incident.id:
        changed = connection.execute(update(INCIDENT).where(INCIDENT.c.id == incident.id).values(values))
        if changed.rowcount:
            return incident
    key = connection.execute(insert(INCIDENT).values(values)).inserted_primary_key
    return replace(incident, id=int(key[0])) if key else incident


def _note(connection: Connection, transition: Transition, after: Incident) -> None:
    connection.execute(
        insert(EVENT).values(
            incident_id=after.id,
            at=after.evaluated_at,
            kind=transition.kind,
            version=after.version,
            why=transition.why,
            severity=after.severity,
            state=after.state,
        )
    )
