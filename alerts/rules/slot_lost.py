"""A replication slot that cannot be used any more."""

from typing import Any

from pydantic import Field

from alerts.rules import _dormant, _slots
from alerts.rules._replication import slot_entity
from collectors.replication_slots import Slot, SlotsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_text
from pgvigil.text import one_line

_INTENDED = "idle_timeout"
_WHY = {
    "wal_removed": "It held back more than max_slot_wal_keep_size, and the log that it needs was removed.",
    "rows_removed": "Rows of the catalogue that it needs were removed: a conflict on this standby"
    " (hot_standby_feedback was off, or the slot between the servers was missing).",
    "wal_level_insufficient": "wal_level on the primary is lower than logical.",
    _INTENDED: "Nobody used it for longer than idle_replication_slot_timeout, as it is set.",
}


class SlotLostParams(SeverityParams):
    severity: str = Field(
        "critical", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )


def evaluate(reading: Snapshot[Any] | Delta[Any], params: SlotLostParams, context: Context) -> Judgement:
    rows: SlotsReading = reading.rows
    return Judgement(
        tuple(_finding(slot, rows, params, context) for slot in rows.slots if slot.lost), Scope()
    )


def _finding(slot: Slot, rows: SlotsReading, params: SlotLostParams, context: Context) -> Finding:
    reason = slot.invalidation_reason or "wal_removed"
    mild = slot.synced or reason == _INTENDED
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=slot.database,
        subject=_slots.subject(slot),
        level=min(params.level, Level.INFO) if mild else params.level,
        summary=f"Slot {_slots.shown(slot)} is lost ({one_line(reason, 40)}): its {_consumer(slot)} cannot go on",
        evidence=Evidence(
            impact=_impact(slot),
            figures=(Figure("Reason", one_line(reason, 40)), *_slots.figures(slot, rows)),
            cause=_WHY.get(reason, "The server says no more than that."),
        ),
        steps=_steps(slot),
        about=frozenset({slot_entity(slot.name)}),
        explains=frozenset({slot_entity(slot.name)}),
    )


def _consumer(slot: Slot) -> str:
    return "standby" if slot.kind == "physical" else "subscriber"


def _impact(slot: Slot) -> str:
    if slot.kind == "physical":
        return (
            "The standby gets nothing more, unless its restore_command still finds the log: one server less."
        )
    return "What was committed since it stopped never reaches the subscriber: it must copy its tables again."


def _steps(slot: Slot) -> tuple[Step, ...]:
    drop = Step(
        "Drop it: a slot that is lost does not come back.",
        f"SELECT pg_drop_replication_slot({quote_text(slot.name)})",
    )
    if slot.kind == "physical":
        again = Step(
            "Make the slot anew, and the standby too where the archive no longer has its log (pg_basebackup).",
            f"SELECT pg_create_physical_replication_slot({quote_text(slot.name)}, true)",
        )
    else:
        again = Step(
            "On the subscriber: drop the subscription and create it anew with copy_data, or let the tool that reads the"
            " slot take a new snapshot."
        )
    return (Step("See all slots.", _slots.LOOK), drop, again)


RULE = Rule(
    name="slot_lost",
    watches=("replication_slots",),
    params=SlotLostParams,
    evaluate=evaluate,
    dormant=_dormant.no_slot,
    absorbs=frozenset({"slot_retention", "slot_inactive", "replica_missing"}),
    doc=RuleDoc(
        meaning="A replication slot is invalid: the log or the rows that it needs were removed. It cannot be repaired; its"
        " standby or subscriber must be made anew. It stays until somebody drops it.",
        magnitude="",
        why_these_defaults="Critical at once: each hour that passes is more that the consumer does not get, and nobody notices,"
        " because a lost slot fills no volume. Only info where the server did what it was told to"
        " (idle_replication_slot_timeout, 18+), and for a standby's copy of a slot of its primary.",
        evidence="Why the server gave it up (17+), its kind and database, and the limit.",
        what_to_do="Drop the slot. Make the standby anew, or let it catch up from the archive; let the subscriber copy its"
        " tables again. Then ask why it was not read for so long, or raise max_slot_wal_keep_size.",
        how_to_look=_slots.LOOK,
    ),
)
