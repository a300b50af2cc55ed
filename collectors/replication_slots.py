"""Replication slots: who uses them, how much log each holds back, and how near each is to being lost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from collectors._positions import gap
from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Slot(NamedTuple):
    """`retained_bytes` is None of a slot that holds nothing (never used) or has lost what it held.

    `safe_bytes` is what can be written before it may be lost. `synced`: a standby's copy of a slot of its primary.
    """

    name: str
    kind: str
    plugin: str | None
    database: str | None
    temporary: bool
    active: bool
    xmin_age: int | None
    catalog_xmin_age: int | None
    retained_bytes: int | None
    unconfirmed_bytes: int | None
    wal_status: str | None
    safe_bytes: int | None
    invalidation_reason: str | None
    inactive_s: float | None
    synced: bool
    created: str

    @property
    def lost(self) -> bool:
        return self.wal_status == "lost" or self.invalidation_reason is not None


class SlotLimits(NamedTuple):
    """`keep_bytes` is max_slot_wal_keep_size; None: without a limit."""

    in_recovery: bool
    keep_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsReading:
    slots: tuple[Slot, ...]
    in_recovery: bool
    keep_bytes: int | None


_HERE = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"

SLOTS = Query(
    name="replication_slots",
    row=Slot,
    columns=(
        Column("name", "s.slot_name::text"),
        Column("kind", "s.slot_type", "physical or logical."),
        Column("plugin", "s.plugin::text", "Output plug-in of a logical slot."),
        Column("database", "s.database::text", "Database of a logical slot."),
        Column("temporary", "s.temporary", unit="flag"),
        Column("active", "s.active", "Whether somebody is connected to it.", "flag"),
        Column("xmin_age", "age(s.xmin)", "Transactions since the oldest that it holds back.", "count"),
        Column("catalog_xmin_age", "age(s.catalog_xmin)", "The same, for the catalogue.", "count"),
        Column("retained_bytes", gap("h.lsn", "s.restart_lsn"), "Log that it holds back.", "bytes"),
        Column(
            "unconfirmed_bytes",
            gap("h.lsn", "s.confirmed_flush_lsn"),
            "Log that its consumer has not confirmed.",
            "bytes",
        ),
        Column("wal_status", "s.wal_status", "reserved, extended, unreserved or lost."),
        Column("safe_bytes", "s.safe_wal_size", "Log that can be written before it may be lost.", "bytes"),
        Column(
            "invalidation_reason",
            "s.invalidation_reason",
            "Why it cannot be used any more.",
            needs="pg_replication_slots.invalidation_reason",
            otherwise="NULL::text",
        ),
        Column(
            "inactive_s",
            "extract(epoch FROM clock_timestamp() - s.inactive_since)::float8",
            "Since its consumer left.",
            "s",
            needs="pg_replication_slots.inactive_since",
            otherwise="NULL::float8",
        ),
        Column(
            "synced",
            "s.synced",
            "Whether it is a copy of the primary's.",
            "flag",
            needs="pg_replication_slots.synced",
            otherwise="false",
        ),
        Column(
            "created",
            "coalesce(s.plugin::text, '') || coalesce(s.datoid::text, '')",
            "What tells it from a namesake.",
        ),
    ),
    source=f"FROM pg_replication_slots AS s CROSS JOIN (SELECT {_HERE} AS lsn) AS h",
)

LIMITS = Query(
    name="replication_slots_limits",
    row=SlotLimits,
    columns=(
        Column("in_recovery", "pg_is_in_recovery()", unit="flag"),
        Column(
            "keep_bytes",
            "(SELECT nullif(setting, '-1')::int8 * 1048576 FROM pg_settings WHERE name = 'max_slot_wal_keep_size')",
            "max_slot_wal_keep_size; null for no limit.",
            "bytes",
        ),
    ),
    source="",
)


def read(reader: Reader) -> SlotsReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (limits,) = reader.rows(LIMITS)
    slots: tuple[Slot, ...] = reader.rows(SLOTS)
    return SlotsReading(
        slots=tuple(slot for slot in slots if not slot.temporary),
        in_recovery=limits.in_recovery,
        keep_bytes=limits.keep_bytes,
    )


def _retained(reading: SlotsReading) -> Iterable[Sample]:
    for slot in reading.slots:
        if slot.retained_bytes is not None and not slot.lost:
            yield Sample(slot.name, float(slot.retained_bytes), slot.created)


def _slots(reading: SlotsReading) -> tuple[Slot, ...]:
    return reading.slots


_SLOT = {"slot": lambda slot: slot.name}

COLLECTOR = Collector(
    name="replication_slots",
    summary="Replication slots, the log that they hold back, and whether they are used and still usable.",
    lane=LaneKind.SERVER,
    interval_s=30.0,
    timeout_s=5.0,
    queries=(LIMITS, SLOTS),
    read=read,
    tables={"replication_slots": _slots},
    families=(
        Family(
            name="replication_slot_retained_bytes",
            help="Log that a slot holds back.",
            rows=_slots,
            value=lambda slot: slot.retained_bytes,
            labels=_SLOT,
        ),
        Family(
            name="replication_slot_safe_bytes",
            help="Log that can be written before a slot may be lost; absent without max_slot_wal_keep_size.",
            rows=_slots,
            value=lambda slot: slot.safe_bytes,
            labels=_SLOT,
        ),
        Family(
            name="replication_slot_active",
            help="1 while somebody is connected to the slot.",
            rows=_slots,
            value=lambda slot: float(slot.active),
            labels=_SLOT,
        ),
        Family(
            name="replication_slot_lost",
            help="1 when the slot cannot be used any more.",
            rows=_slots,
            value=lambda slot: float(slot.lost),
            labels=_SLOT,
        ),
    ),
    series={"retained": _retained},
)
