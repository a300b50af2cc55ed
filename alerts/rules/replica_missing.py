"""A standby that was connected is gone."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from pydantic import Field

from alerts.rules._replication import replica_entity, slot_entity, standby_of, target_of_replica
from collectors.replication import ReplicationReading
from pgvigil.model.change import Change
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.text import one_line
from pgvigil.units import DurationS


class ReplicaMissingParams(SeverityParams):
    for_s: DurationS = Field(300.0, alias="for", description="How long it must hold before it fires.")
    within_s: DurationS = Field(
        86400.0, alias="within", description="How long a standby that left is missed; then it was taken away."
    )
    expected: tuple[str, ...] = Field(
        (), description="Standbys that must always be there, by name. With any named, others may come and go."
    )
    ignore: tuple[str, ...] = Field((), description="Standbys that may come and go, by name.")


class _Gone(NamedTuple):
    """`change` is its leaving; None of one that is expected and was not seen."""

    name: str
    slot: str
    change: Change | None


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ReplicaMissingParams, context: Context
) -> Judgement:
    rows: ReplicationReading = reading.rows
    if rows.hidden:
        return Judgement((), replace(NOTHING, reason="the role may not see the receivers"))
    if rows.in_recovery:
        # After a switch-over they follow another one; what is expected is expected of the primary.
        return Judgement((), Scope())
    return Judgement(
        tuple(_finding(gone, params, context) for gone in _missing(rows, params, context)), Scope()
    )


def _missing(rows: ReplicationReading, params: ReplicaMissingParams, context: Context) -> list[_Gone]:
    last = {change.key: change for change in context.changes}
    since = context.now - timedelta(seconds=params.within_s)
    if params.expected:
        return [
            _Gone(name, _slot(last.get(name)), _leaving(last.get(name)))
            for name in params.expected
            if name not in rows.replicas
        ]
    return [
        _Gone(name, _slot(change), change)
        for name, change in last.items()
        if change.new is None
        and change.at >= since
        and name not in rows.replicas
        and name not in params.ignore
    ]


def _slot(change: Change | None) -> str:
    return "" if change is None else change.old or ""


def _leaving(change: Change | None) -> Change | None:
    return change if change is not None and change.new is None else None


def _finding(gone: _Gone, params: ReplicaMissingParams, context: Context) -> Finding:
    name = one_line(gone.name, 60)
    told = standby_of(gone.name, gone.slot, context)
    seen = "" if gone.change is None else f" since {gone.change.after:%Y-%m-%d %H:%M} UTC"
    slot = {slot_entity(gone.slot)} if gone.slot else set()
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=f"replica {one_line(gone.name, 120)}",
        # The standby tells it itself, and why (standby_disconnected): one page for one fault.
        level=params.level if told is None else Level.INFO,
        summary=f"Standby {name} is not connected{seen}",
        evidence=Evidence(
            impact="It falls further behind with each write; there is one server less to fail over to.",
            figures=(
                Figure("Name", name),
                *((Figure("Slot", one_line(gone.slot, 60)),) if gone.slot else ()),
                *_stamps(gone.change),
                *((Figure("Watched as", told[0].name),) if told else ()),
            ),
            cause="The standby is down or cannot reach this server; or its slot or the log that it needs is gone.",
        ),
        steps=(
            Step("See who is connected.", _LOOK),
            Step("Read the standby's log: it says why it does not stream."),
            Step(
                "If it was taken away on purpose: it is forgotten a day after it left; or name those that must be there"
                " in [rules.replica_missing] expected. Drop its slot, which holds back log."
            ),
        ),
        about=target_of_replica(gone.name, gone.slot, context) | {replica_entity(gone.name)} | slot,
        explains=frozenset({replica_entity(gone.name)} | slot),
    )


def _stamps(change: Change | None) -> tuple[Figure, ...]:
    if change is None:
        return ()
    return (
        Figure("Last seen", f"{change.after:%Y-%m-%d %H:%M:%S} UTC"),
        Figure("First missed", f"{change.at:%Y-%m-%d %H:%M:%S} UTC"),
    )


_LOOK = "SELECT application_name, client_addr, state, backend_start FROM pg_stat_replication"

RULE = Rule(
    name="replica_missing",
    watches=("replication",),
    params=ReplicaMissingParams,
    evaluate=evaluate,
    absorbs=frozenset({"slot_inactive"}),
    doc=RuleDoc(
        meaning="A standby that streamed from this primary is not connected any more. pgvigil remembers who was there, also"
        " over its own restarts. A standby is known by the name that it gives itself (application_name or cluster_name),"
        " else by its slot, else by where it connects from. Backups, copies of tables and logical consumers are not"
        " missed here: those have slots (slot_inactive).",
        magnitude="",
        why_these_defaults="Five minutes pass over a restart of the standby. A warning, because the primary works; pganalyze"
        " and pgEdge call it critical, and with a single standby you should too. After a day one that left was taken"
        " away, and the incident resolves. Where the standby is watched and tells itself that it does not stream"
        " (standby_disconnected), this is only info.",
        evidence="Its name and slot, when it was last seen, and by which name it is watched.",
        what_to_do="Read the standby's log: refused connection, missing slot, requested log already removed. A standby that"
        " you removed is forgotten after a day; with `expected` you say who must be there, and only those are missed."
        " Drop the slot of a standby that will not return.",
        how_to_look=_LOOK,
    ),
)
