"""A replication slot holds back so much log that it, or the volume, comes to an end."""

import math
from typing import Any, NamedTuple

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _dormant, _slots
from alerts.rules._forecasts import ForecastParams, by_time, forecast_figures, worse
from alerts.rules._replication import slot_entity
from collectors.replication_slots import Slot, SlotsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, PercentParams, Rule, RuleDoc
from pgvigil.trends import Eta, Trend, eta, trend
from pgvigil.units import DurationS, Percent, SizeBytes, format_size

_PAST_S = 6 * 3600.0
_SPAN_S = 900.0  # a slope over less is no forecast
_GIB = 1024**3


class SlotRetentionParams(ForecastParams, PercentParams):
    for_s: DurationS = Field(60.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        300.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: Percent | None = Field(50.0, description="Share of the room for log that the slot takes.")
    critical: Percent | None = Field(80.0, description="Share of the room for log that the slot takes.")
    clear: Percent | None = Field(40.0, description="At or below this share it has recovered.")
    warning_within_s: DurationS | None = Field(
        12 * 3600.0,
        alias="warning_within",
        description="A warning when the room is used up within this time.",
    )
    critical_within_s: DurationS | None = Field(
        2 * 3600.0, alias="critical_within", description="Critical when the room is used up within this time."
    )
    min_retained_bytes: SizeBytes = Field(
        _GIB, alias="min_retained", description="With less log held back shares and forecasts are no trouble."
    )
    disk_share: Percent = Field(
        40.0, description="Without max_slot_wal_keep_size: the share of disk_size that is room for log."
    )
    room_bytes: SizeBytes = Field(
        50 * _GIB,
        alias="room",
        description="Without either of them: the room for log that is taken to be there.",
    )


class _Room(NamedTuple):
    """Where the log may grow to. `loses`: there the slot is given up, else the volume is full."""

    size_bytes: float
    words: str
    loses: bool


def evaluate(reading: Snapshot[Any] | Delta[Any], params: SlotRetentionParams, context: Context) -> Judgement:
    rows: SlotsReading = reading.rows
    found = (_found(slot, rows, _room(slot, rows, params, context), params, context) for slot in rows.slots)
    return Judgement(tuple(finding for finding in found if finding is not None), Scope())


def _room(slot: Slot, rows: SlotsReading, params: SlotRetentionParams, context: Context) -> _Room:
    most = _slots.most_bytes(slot, rows)
    if most is not None:
        words = "max_slot_wal_keep_size" if rows.keep_bytes else "what max_slot_wal_keep_size = 0 leaves it"
        return _Room(most, words, loses=True)
    if context.disk_size_bytes is not None:
        size = context.disk_size_bytes * params.disk_share / 100
        return _Room(size, f"the {params.disk_share:.0f} % of disk_size for log", loses=False)
    return _Room(params.room_bytes, "the room for log", loses=False)


def _found(
    slot: Slot, rows: SlotsReading, room: _Room, params: SlotRetentionParams, context: Context
) -> Finding | None:
    if slot.lost or slot.retained_bytes is None:
        return None
    slope = trend(context.history("retained", slot.name), _PAST_S)
    known = slope is not None and slope.span_s >= _SPAN_S
    when = eta(slot.retained_bytes, room.size_bytes, slope) if known else None
    percent = 100.0 * slot.retained_bytes / room.size_bytes if room.size_bytes else 0.0
    level = _level(slot, percent, when, params)
    if level is None:
        return None
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=slot.database,
        subject=_slots.subject(slot),
        level=level,
        summary=_summary(slot, room, percent, when),
        value=percent,
        evidence=Evidence(
            impact=_impact(room),
            figures=(*_slots.figures(slot, rows), *_room_figures(room, when, slope)),
            cause="Its consumer is connected and slower than what is written."
            if slot.active
            else "Nobody is connected to it.",
        ),
        steps=_steps(slot, room, rows),
        about=_slots.about(slot, rows),
        explains=frozenset({slot_entity(slot.name)}),
    )


def _level(slot: Slot, percent: float, when: Eta | None, params: SlotRetentionParams) -> Level | None:
    """`unreserved` is the server's own word for "the next checkpoint may remove what it needs"."""
    if slot.wal_status == "unreserved":
        return Level.CRITICAL
    if (slot.retained_bytes or 0) < params.min_retained_bytes:
        return None
    return worse(grade(percent, params), by_time(when, params))


def _summary(slot: Slot, room: _Room, percent: float, when: Eta | None) -> str:
    use = "" if slot.active else ", and nobody uses it"
    told = f"Slot {_slots.shown(slot)} holds back {format_size(slot.retained_bytes or 0)} of log{use}"
    if slot.wal_status == "unreserved":
        return f"{told}; the next checkpoint may remove what it needs"
    share = f"{told}: {percent:.0f} % of {room.words}"
    return share if when is None else f"{share}, used up {when.words}"


def _impact(room: _Room) -> str:
    if room.loses:
        return "At max_slot_wal_keep_size the server removes the log, and its consumer must be made anew."
    return "Nothing limits it: the log grows until the volume is full, and the server stops."


def _room_figures(room: _Room, when: Eta | None, slope: Trend | None) -> tuple[Figure, ...]:
    return (Figure("Room", format_size(room.size_bytes)), *forecast_figures(when, slope))


def _steps(slot: Slot, room: _Room, rows: SlotsReading) -> tuple[Step, ...]:
    """Looking first; what may cost somebody his slot comes after what helps, and dropping it last."""
    *first, drop = _slots.steps(slot)
    return (*first, *_limit(room, rows), drop)


def _limit(room: _Room, rows: SlotsReading) -> tuple[Step, ...]:
    """Beyond what any slot holds now: a smaller limit would cost the healthy ones with the next checkpoint."""
    if room.loses:
        return ()
    most = max((slot.retained_bytes or 0 for slot in rows.slots), default=0)
    limit = math.ceil(max(room.size_bytes, 1.1 * most) / _GIB)
    return (
        Step(
            "If the volume fills before its consumer is back: limit what slots may hold. This is more than any of them"
            " holds now; see that there is room for it. A slot that comes to the limit is lost, the server lives.",
            f"ALTER SYSTEM SET max_slot_wal_keep_size = '{limit}GB'",
        ),
        Step("Have it read.", "SELECT pg_reload_conf()"),
    )


RULE = Rule(
    name="slot_retention",
    watches=("replication_slots",),
    params=SlotRetentionParams,
    evaluate=evaluate,
    dormant=_dormant.no_slot,
    absorbs=frozenset({"slot_inactive", "xmin_horizon_held"}),
    doc=RuleDoc(
        meaning="A replication slot holds back so much log that either the slot will be given up (max_slot_wal_keep_size) or"
        " the volume will be full (without it). With disk_size in the target's section the room is a share of that"
        " volume; without it a size is assumed, and you should set one of them.",
        magnitude="log that the slot holds back, as a percentage of the room for it: max_slot_wal_keep_size, else disk_share of"
        " disk_size, else room",
        why_these_defaults="Half of the room leaves time to act, four fifths little. Data takes most of a volume: 40 % of it"
        " for log is generous. 50 GB where nothing is known. A forecast over the last six hours (at least a quarter of an"
        " hour of them) warns 12 hours ahead and is critical at 2. Nothing under 1 GB is told, as in"
        " awesome-prometheus-alerts, except wal_status unreserved: then the next checkpoint may remove what it needs"
        " (PostgreSQL manual, pg_replication_slots).",
        evidence="What it holds back, of which room, when that is used up, whether somebody uses the slot, and what it holds"
        " back of vacuum.",
        what_to_do="Bring its consumer back or help it to keep up. If the volume is about to fill and it will not come: drop"
        " the slot, or limit all of them with max_slot_wal_keep_size (a reload is enough).",
        how_to_look=_slots.LOOK,
    ),
)
