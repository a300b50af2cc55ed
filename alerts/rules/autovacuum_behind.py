"""Tables have waited for autovacuum for long, and it does not come, or not to an end."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import Field

from alerts.grading import counted, grade
from alerts.rules import _dormant, _vacuum
from alerts.rules._tables import table_block
from collectors.table_stats import TableStats, TableStatsReading, Workers
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, NumberParams, Rule, RuleDoc
from pgvigil.units import DurationS, format_size

_SUBJECT = "autovacuum"
_SHOWN = 10


class AutovacuumBehindParams(NumberParams):
    for_s: DurationS = Field(3600.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        600.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: float | None = Field(3.0, description="Dead rows, as a multiple of the table's own threshold.")
    clear: float | None = Field(1.5, description="At or below this multiple it has recovered.")
    min_dead_rows: int = Field(100_000, ge=0, description="Dead rows that a table must have to count.")
    freeze_overdue: float = Field(
        1.25, ge=1, description="Age, as a multiple of that at which autovacuum must freeze, to count."
    )
    min_inserted_rows: int = Field(
        10_000_000, ge=0, description="Inserted rows, for which as a multiple of the threshold it is info."
    )


class Behind(NamedTuple):
    """One table that waits: for what, and how many times over."""

    table: TableStats
    level: Level
    times: float
    reason: str


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: AutovacuumBehindParams, context: Context
) -> Judgement:
    database = reading.database if isinstance(reading, Snapshot) else None
    scope = Scope(databases=None if database is None else frozenset({database}))
    if context.facts is not None and context.facts.in_recovery:
        return Judgement((), scope)
    rows: TableStatsReading = reading.rows
    waiting = [each for each in (_judged(table, params) for table in rows.tables) if each is not None]
    if not waiting:
        return Judgement((), scope)
    waiting.sort(key=lambda each: (-each.level, -each.table.dead_rows, each.table.oid))
    return Judgement((_finding(waiting, rows.workers, database, context),), scope)


def _judged(table: TableStats, params: AutovacuumBehindParams) -> Behind | None:
    """Why the table counts; what a vacuum works on just now holds what fires and begins nothing."""
    behind = _why(table, params)
    if behind is not None and table.running:
        return behind._replace(level=Level.HOLD)
    return behind


def _why(table: TableStats, params: AutovacuumBehindParams) -> Behind | None:
    overdue = table.unfrozen_xids / max(table.freeze_at, 1)
    if overdue >= params.freeze_overdue and params.warning is not None:
        return Behind(table, Level.WARNING, overdue, "freeze")
    level = grade(table.dead_ratio, params) if table.dead_rows >= params.min_dead_rows else None
    if level is not None:
        return Behind(table, level, table.dead_ratio, "dead rows")
    inserted = table.inserted_rows / max(table.insert_threshold or 0.0, 1.0)
    many = table.insert_threshold is not None and table.inserted_rows >= params.min_inserted_rows
    if many and params.warning is not None and inserted >= params.warning:
        return Behind(table, Level.INFO, inserted, "inserted rows")
    return None


def _finding(waiting: Sequence[Behind], workers: Workers, database: str | None, context: Context) -> Finding:
    worst = waiting[0]
    vain = _vacuum.in_vain(worst.table) and worst.reason != "inserted rows"
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=_SUBJECT,
        level=worst.level,
        summary=f"Autovacuum is behind on {counted(len(waiting), 'table')}: {_told(worst)}",
        value=worst.times,
        evidence=Evidence(
            impact=_IMPACTS[worst.reason],
            figures=(
                Figure("Workers", f"{workers.busy} of {workers.most} busy"),
                Figure("Last vacuum of the worst", _vacuum.vacuumed(worst.table)),
            ),
            blocks=(
                table_block(
                    "Tables that wait",
                    ("dead rows", "times", "for", "size", "last vacuum", "autovacuum", "table"),
                    [_row(each) for each in waiting],
                    _SHOWN,
                ),
            ),
            cause=_cause(worst, workers, vain=vain),
        ),
        steps=_steps(worst, workers, vain=vain),
        about=_vacuum.horizons(database) if vain else frozenset(),
        explains=frozenset(_vacuum.entity(database, each.table) for each in waiting),
    )


def _told(behind: Behind) -> str:
    table, name = behind.table, _vacuum.named(behind.table)
    match behind.reason:
        case "freeze":
            return f"{name} has not been frozen for {table.unfrozen_xids:,} transactions, due at {table.freeze_at:,}"
        case "inserted rows":
            return f"{name} has {table.inserted_rows:,} new rows that no vacuum has seen"
        case _:
            return f"{name} has {table.dead_rows:,} dead rows, {behind.times:,.0f} times what autovacuum waits for"


def _row(behind: Behind) -> tuple[object, ...]:
    table = behind.table
    return (
        table.dead_rows,
        f"{behind.times:,.1f}",
        behind.reason,
        format_size(table.size_bytes),
        _vacuum.vacuumed(table),
        "" if table.enabled else "off",
        _vacuum.named(table),
    )


_IMPACTS = {
    "dead rows": "Queries read dead rows, indexes point at them, and table and indexes grow; the space does not come back"
    " by itself.",
    "freeze": "Transaction ids are not given back: should it go on, the server stops writing (xid_wraparound).",
    "inserted rows": "Index-only scans read the table all the same, and the first freeze of it will be a large one.",
}


_UNDONE = {"dead rows": "remove the rows", "freeze": "freeze the rows"}


def _cause(worst: Behind, workers: Workers, *, vain: bool) -> str:
    if not workers.enabled:
        return "Autovacuum is switched off for the whole server (autovacuum, track_counts)."
    if vain:
        return (
            f"Vacuum was there within the hour and could not {_UNDONE[worst.reason]}: somebody holds the xmin"
            " horizon."
        )
    if not worst.table.enabled:
        return "Autovacuum is switched off for this table (autovacuum_enabled)."
    if workers.busy >= workers.most:
        return "All workers are busy: too few of them, or each too slow (vacuum_cost_limit is shared among them)."
    return (
        "Workers are free, and none of them finishes it: a lock that the application takes again and again cancels"
        " autovacuum (the server's log says so), or it runs with too low a cost limit."
    )


def _steps(worst: Behind, workers: Workers, *, vain: bool) -> tuple[Step, ...]:
    table = worst.table
    steps: list[Step] = []
    if vain:
        steps.append(_vacuum.holder_step())
    if not workers.enabled:
        steps.append(
            Step(
                "Switch autovacuum on, and then: SELECT pg_reload_conf().", "ALTER SYSTEM SET autovacuum = on"
            )
        )
    if not table.enabled:
        option = "toast.autovacuum_enabled, autovacuum_enabled" if table.toast else "autovacuum_enabled"
        steps.append(
            Step("Let autovacuum visit the table again.", f"ALTER TABLE {table.shown} RESET ({option})")
        )
    steps.append(
        _vacuum.vacuum_step(table, "Vacuum the worst by hand, in its database: reads and writes go on.")
    )
    if workers.busy >= workers.most and workers.enabled:
        steps.append(
            Step(
                "Give the workers more to spend, and then: SELECT pg_reload_conf(). (More workers share the same"
                " budget; before PostgreSQL 18 they need a restart.)",
                "ALTER SYSTEM SET autovacuum_vacuum_cost_limit = 2000",
            )
        )
    return tuple(steps)


RULE = Rule(
    name="autovacuum_behind",
    unit="times its threshold",
    watches=("table_stats",),
    params=AutovacuumBehindParams,
    evaluate=evaluate,
    dormant=_dormant.no_counts,
    absorbs=frozenset({"dead_tuples"}),
    doc=RuleDoc(
        meaning="Autovacuum visits a table when its dead rows pass a threshold. Tables of this database are far beyond"
        " theirs for an hour: all workers are busy, autovacuum is switched off, something cancels it, or it removes"
        " nothing because somebody may still see the rows.",
        magnitude="dead rows of the worst table, as a multiple of its own threshold"
        " (autovacuum_vacuum_threshold + autovacuum_vacuum_scale_factor x rows, or its storage parameters)",
        why_these_defaults="Once is when autovacuum should start, within its naptime of a minute; three times for an"
        " hour is not a busy moment. Under 100,000 dead rows it is not worth a message. A table that is 1.25 times as"
        " old as autovacuum_freeze_max_age counts too (pgmonitor is critical at 125 %). Inserted rows alone are"
        " info: they cost later. What a vacuum works on now does not begin an incident, and keeps one. The"
        " formula is autovacuum's own (PostgreSQL manual, 25.1.6). No level is critical: it is slow, not down, and"
        " xid_wraparound tells before it stops.",
        evidence="The tables that wait, for what, how many times over, their last vacuum, and whether autovacuum is off"
        " for them; how many workers are busy.",
        what_to_do="See which of the causes it is. Vacuum the worst table by hand. Then raise"
        " autovacuum_vacuum_cost_limit, or lower the scale factor of large tables so that each visit is short.",
        how_to_look="""\
SELECT schemaname, relname, n_live_tup, n_dead_tup, last_autovacuum, last_vacuum, autovacuum_count
FROM pg_stat_all_tables
ORDER BY n_dead_tup DESC
LIMIT 20""",
    ),
)
