"""A replication slot that nobody uses."""

from typing import Any

from pydantic import Field

from alerts.rules import _dormant, _slots
from alerts.rules._replication import slot_entity
from collectors.replication_slots import Slot, SlotsReading
from pgvigil.model.evidence import Evidence
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.units import DurationS, Percent, SizeBytes, format_size


class SlotInactiveParams(SeverityParams):
    for_s: DurationS = Field(1800.0, alias="for", description="How long it must hold before it fires.")
    min_retained_bytes: SizeBytes = Field(
        1024**3, alias="min_retained", description="With less log held back it is info only."
    )
    min_retained_share: Percent = Field(
        10.0, description="Or this share of max_slot_wal_keep_size, else of the target's disk_size."
    )
    ignore: tuple[str, ...] = Field((), description="Slots that may be unused, by name.")


def evaluate(reading: Snapshot[Any] | Delta[Any], params: SlotInactiveParams, context: Context) -> Judgement:
    rows: SlotsReading = reading.rows
    found = (_found(slot, rows, params, context) for slot in rows.slots if slot.name not in params.ignore)
    return Judgement(tuple(finding for finding in found if finding is not None), Scope())


def _found(slot: Slot, rows: SlotsReading, params: SlotInactiveParams, context: Context) -> Finding | None:
    """A copy that a standby keeps of its primary's slot is rightly unused; a lost one is slot_lost's."""
    retained = slot.retained_bytes
    if slot.active or slot.synced or slot.lost or retained is None:
        return None
    much = retained >= params.min_retained_bytes or _share(slot, rows, context) >= params.min_retained_share
    if rows.in_recovery and not much:
        return None  # cluster managers keep slots on standbys for the case of a failover
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=slot.database,
        subject=_slots.subject(slot),
        level=params.level if much else min(params.level, Level.INFO),
        summary=f"Slot {_slots.shown(slot)} is not used{_slots.since(slot)} and holds back {format_size(retained)} of log",
        evidence=Evidence(
            impact="The server keeps the log for it until the volume is full or max_slot_wal_keep_size is reached.",
            figures=_slots.figures(slot, rows),
            cause="Its standby or subscriber is down, cannot connect, or was taken away without its slot.",
        ),
        steps=_slots.steps(slot),
        about=_slots.about(slot, rows) if much else frozenset({slot_entity(slot.name)}),
    )


def _share(slot: Slot, rows: SlotsReading, context: Context) -> float:
    most = _slots.most_bytes(slot, rows)
    room = context.disk_size_bytes if most is None else most
    return 100.0 * (slot.retained_bytes or 0) / room if room else 0.0


RULE = Rule(
    name="slot_inactive",
    watches=("replication_slots",),
    params=SlotInactiveParams,
    evaluate=evaluate,
    dormant=_dormant.no_slot,
    doc=RuleDoc(
        meaning="Nobody is connected to a replication slot, and it holds back log. A slot knows no time-out (before 18):"
        " one that is forgotten fills the volume. Temporary slots, slots that were never used, and the copies that a"
        " standby keeps of its primary's slots (17+) are not judged.",
        magnitude="",
        why_these_defaults="Half an hour, as the mixin of postgres_exporter has it, passes over restarts and upgrades; 1 GB is"
        " the figure of awesome-prometheus-alerts, and a tenth of the room that there is counts on small volumes. With less"
        " it is info: it costs nothing yet. Where the standby of the slot is missed (replica_missing), or the slot is"
        " close to its end (slot_retention, slot_lost), it is part of that incident.",
        evidence="The log that it holds back, since when it is unused (17+), what it holds back of vacuum.",
        what_to_do="Bring its consumer back, or drop the slot if nobody will come. Dropping it means that the consumer must be"
        " made anew.",
        how_to_look=_slots.LOOK,
    ),
)
