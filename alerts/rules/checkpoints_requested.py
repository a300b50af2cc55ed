"""Checkpoints that come because WAL is full, and not because it is time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import Field

from alerts.grading import grade
from collectors.checkpoints import Checkpoints
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, PercentParams, Rule, RuleDoc
from pgvigil.trends import increase, recent
from pgvigil.units import DurationS, Percent, format_duration, format_size

_SUBJECT = "checkpoints"
_PARTS = 3  # of the window: each must have its share, so that a burst in one of them is no trouble
_ROOM = 1.2  # the size that is advised leaves a fifth more than the rate needs
_DISK_SHARE = 0.4  # of disk_size that log may take, as in slot_retention
_GB = 1024**3


class CheckpointsRequestedParams(PercentParams):
    warning: Percent | None = Field(50.0, description="Share of the checkpoints that were requested.")
    critical: Percent | None = Field(None, description="Share of the checkpoints that were requested.")
    clear: Percent | None = Field(30.0, description="At or below this share it has recovered.")
    within_s: DurationS = Field(
        2700.0, alias="within", description="The time that is looked at; it must go on through all of it."
    )
    min_requested: int = Field(6, ge=3, description="Fewer requested checkpoints in that time are not told.")
    min_fill_percent: Percent = Field(
        25.0,
        description="A checkpoint after less WAL than this share of max_wal_size was asked for by somebody.",
    )


@dataclass(frozen=True, slots=True)
class _Window:
    """What happened in it. `wal_bytes` was written meanwhile."""

    requested: float
    timed: float
    wal_bytes: float
    elapsed_s: float

    @property
    def percent(self) -> float:
        return 100 * self.requested / max(1.0, self.requested + self.timed)

    @property
    def wal_per_checkpoint(self) -> float:
        return self.wal_bytes / max(1.0, self.requested + self.timed)

    def needed_bytes(self, row: Checkpoints) -> int:
        """max_wal_size at which the timeout comes first, in whole GB.

        A checkpoint begins after max_wal_size / (1 + checkpoint_completion_target) of WAL (CalculateCheckpointSegments
        in PostgreSQL's xlog.c).
        """
        at_timeout = self.wal_bytes / self.elapsed_s * row.checkpoint_timeout_s
        return math.ceil(at_timeout * (1 + row.completion_target) * _ROOM / _GB) * _GB


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: CheckpointsRequestedParams, context: Context
) -> Judgement:
    row: Checkpoints = reading.rows
    if row.in_recovery:
        return Judgement((), Scope())
    window = _window(params, context)
    if window is None:
        return Judgement((), NOTHING)
    level = grade(window.percent, params)
    if level is None:
        return Judgement((), Scope())
    if not _lasting(window, row, params, context):
        level = Level.HOLD if window.requested >= params.min_requested else None
    return Judgement(() if level is None else (_finding(window, row, level, context),), Scope())


def _window(params: CheckpointsRequestedParams, context: Context) -> _Window | None:
    """None until as much of the past is known as is looked at."""
    grown = [increase(context.history(name), params.within_s) for name in _SERIES]
    known = [each for each in grown if each is not None]
    if len(known) < len(_SERIES) or known[0].elapsed_s < 0.9 * params.within_s:
        return None
    requested, timed, wal = known
    return _Window(requested.value, timed.value, wal.value, requested.elapsed_s)


_SERIES = ("requested", "timed", "position_bytes")


def _lasting(window: _Window, row: Checkpoints, params: CheckpointsRequestedParams, context: Context) -> bool:
    """Whether it is WAL that brings them, and does so all the time: no CHECKPOINT command, backup or single load."""
    enough = window.requested >= params.min_requested
    filled = 100 * window.wal_per_checkpoint >= params.min_fill_percent * row.max_wal_size_bytes
    points = context.history("requested")
    return enough and filled and min(_by_part(points, params.within_s)) >= params.min_requested / (2 * _PARTS)


def _by_part(points: Sequence[Point], within_s: float) -> list[float]:
    """How much the counter grew in each part of the window, the last one first."""
    part_s = within_s / _PARTS
    grown = []
    for part in range(_PARTS):
        until = points[-1].at - timedelta(seconds=part * part_s)
        inside = recent([point for point in points if point.at <= until], part_s)
        increased = increase(inside, part_s)
        grown.append(0.0 if increased is None else increased.value)
    return grown


def _finding(window: _Window, row: Checkpoints, level: Level, context: Context) -> Finding:
    every = format_duration(window.elapsed_s / max(1.0, window.requested + window.timed))
    needed = max(window.needed_bytes(row), 2 * row.max_wal_size_bytes)
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_SUBJECT,
        level=level,
        summary=f"{window.percent:.0f} % of the checkpoints come because WAL is full: one every {every} instead of"
        f" {format_duration(row.checkpoint_timeout_s)} (max_wal_size {format_size(row.max_wal_size_bytes)})",
        value=window.percent,
        evidence=Evidence(
            impact="After each checkpoint every page is written to WAL in full when it is first changed: frequent"
            " ones multiply WAL and disk writes.",
            figures=(
                Figure("Requested", f"{window.requested:,.0f} in {format_duration(window.elapsed_s)}"),
                Figure("Timed", f"{window.timed:,.0f}"),
                Figure("WAL written", f"{format_size(window.wal_bytes / window.elapsed_s * 3600)} per hour"),
                Figure("WAL per checkpoint", format_size(window.wal_per_checkpoint)),
                Figure("max_wal_size", format_size(row.max_wal_size_bytes)),
                Figure("max_wal_size for this rate", format_size(needed)),
            ),
            cause="max_wal_size is too small for the rate at which WAL is written.",
        ),
        steps=(*_raise(needed, row, context), Step(_COMPRESS)),
    )


def _raise(needed: int, row: Checkpoints, context: Context) -> tuple[Step, ...]:
    """To what the rate needs, or as far as the volume allows."""
    room = None if context.disk_size_bytes is None else int(context.disk_size_bytes * _DISK_SHARE)
    if room is None or needed <= room:
        text = (
            f"Let checkpoints come by time: with the present rate of WAL that takes {_size(needed)}. pg_wal needs that"
            " much disk space, and a recovery after a crash reads up to that much."
        )
        return _set(text, needed)
    why = (
        f"Checkpoints by time would take {_size(needed)}, which is more than {_DISK_SHARE:.0%} of the volume"
        f" ({format_size(context.disk_size_bytes or 0)}, disk_size)"
    )
    if room <= row.max_wal_size_bytes:
        return (Step(f"{why}, and so is what max_wal_size is now: it takes a larger volume, or less WAL."),)
    return _set(
        f"{why}: this is as far as it should go. See that the room is free. For the rest, write less WAL.",
        room,
    )


def _set(text: str, size_bytes: int) -> tuple[Step, ...]:
    return (
        Step(text, f"ALTER SYSTEM SET max_wal_size = '{_size(size_bytes)}'"),
        Step("It needs no restart.", "SELECT pg_reload_conf()"),
    )


def _size(size_bytes: int) -> str:
    """Whole units, as the server reads them; never more than was meant."""
    return f"{size_bytes // _GB}GB" if size_bytes % _GB == 0 else f"{size_bytes // 1024**2}MB"


_COMPRESS = "If WAL is the trouble, compress its full pages: wal_compression = on."


RULE = Rule(
    name="checkpoints_requested",
    watches=("checkpoints",),
    params=CheckpointsRequestedParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="Checkpoints are meant to come every checkpoint_timeout. Here most come earlier, because WAL reached its"
        " share of max_wal_size, and this has gone on all the time. Each one makes the following writes more"
        " expensive. It is slow, not broken.",
        magnitude="requested checkpoints as a percentage of all in `within`",
        why_these_defaults="The PostgreSQL manual (30.5, WAL Configuration) wants most checkpoints to be timed: half is where"
        " it is no longer so. A CHECKPOINT command, the start of a backup or a bulk load requests some as well: it takes"
        " six in 45 minutes, some of them in each quarter of an hour, and at least 25 % of max_wal_size written for each (those"
        " that WAL brings come at about half of it). Never critical by default.",
        evidence="How many were requested and timed, how much WAL is written per hour and per checkpoint, and the"
        " max_wal_size with which the timeout would come first.",
        what_to_do="Raise max_wal_size to the size in the evidence, if the disk has room for it; a reload is enough."
        " With disk_size in the target's section the advice never goes beyond 40 % of that volume.",
        how_to_look="""\
-- before 17: SELECT checkpoints_timed, checkpoints_req, stats_reset FROM pg_stat_bgwriter
SELECT num_timed, num_requested, stats_reset FROM pg_stat_checkpointer""",
    ),
)
