"""What the rules about replication slots share."""

from alerts.rules._replication import slot_entity
from alerts.rules._volume import VOLUME
from collectors.replication_slots import Slot, SlotsReading
from pgvigil.model.evidence import Figure, Step
from pgvigil.sql.identifiers import quote_text
from pgvigil.text import one_line
from pgvigil.units import format_duration, format_size

LOOK = (
    "SELECT slot_name, slot_type, active, wal_status, pg_size_pretty(safe_wal_size) AS safe,"
    " pg_size_pretty(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
    " ELSE pg_current_wal_lsn() END, restart_lsn)) AS retained FROM pg_replication_slots ORDER BY restart_lsn"
)


def subject(slot: Slot) -> str:
    return f"slot {one_line(slot.name, 120)}"


def shown(slot: Slot) -> str:
    return one_line(slot.name, 63)


def most_bytes(slot: Slot, rows: SlotsReading) -> float | None:
    """The log that it may hold back before it is given up; None without a limit.

    The server keeps more than max_slot_wal_keep_size where wal_keep_size or the present segment needs it, and says
    so in safe_wal_size. At a limit of 0 that is all that there is.
    """
    if rows.keep_bytes is None:
        return None
    promised = (slot.retained_bytes or 0) + max(0, slot.safe_bytes or 0)
    return float(max(rows.keep_bytes, promised))


def about(slot: Slot, rows: SlotsReading) -> frozenset[str]:
    """The slot; and the volume, where nothing but that ends what the slot holds back."""
    return frozenset({slot_entity(slot.name)} | ({VOLUME} if most_bytes(slot, rows) is None else set()))


def since(slot: Slot) -> str:
    """How long it has been unused, where the server tells."""
    return "" if slot.inactive_s is None or slot.active else f" (for {format_duration(slot.inactive_s)})"


def figures(slot: Slot, rows: SlotsReading) -> tuple[Figure, ...]:
    of = (
        ""
        if slot.database is None
        else f" ({one_line(slot.plugin or '', 40)} in {one_line(slot.database, 63)})"
    )
    retained = "unknown" if slot.retained_bytes is None else format_size(slot.retained_bytes)
    keep = "no limit" if rows.keep_bytes is None else format_size(rows.keep_bytes) if rows.keep_bytes else "0"
    held = max(slot.xmin_age or 0, slot.catalog_xmin_age or 0)
    return (
        Figure("Kind", f"{slot.kind}{of}"),
        Figure("In use", "yes" if slot.active else f"no{since(slot)}"),
        Figure("Holds back", retained),
        *((Figure("Not confirmed", format_size(slot.unconfirmed_bytes)),) if slot.unconfirmed_bytes else ()),
        Figure("wal_status", slot.wal_status or "none"),
        Figure("max_slot_wal_keep_size", keep),
        *(
            (Figure("Until it may be lost", format_size(max(0, slot.safe_bytes))),)
            if slot.safe_bytes is not None
            else ()
        ),
        *((Figure("Holds back vacuum by", f"{held:,} transactions"),) if held else ()),
    )


def steps(slot: Slot) -> tuple[Step, ...]:
    return (
        Step("See all slots.", LOOK),
        Step("Bring its consumer back: start it, read its log, look at the network between them."),
        Step(
            "If nobody will come for it: drop it, and the log goes with the next checkpoint. Its consumer must be made"
            " anew afterwards.",
            f"SELECT pg_drop_replication_slot({quote_text(slot.name)})",
        ),
    )
