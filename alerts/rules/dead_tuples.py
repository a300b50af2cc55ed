"""A large part of a large table is dead rows."""

from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _dormant, _vacuum
from collectors.table_stats import TableStats, TableStatsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, PercentParams, Rule, RuleDoc
from pgvigil.units import DurationS, Percent, SizeBytes, format_size


class DeadTuplesParams(PercentParams):
    for_s: DurationS = Field(3600.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        600.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: Percent | None = Field(30.0, description="Share of the table's rows that are dead.")
    clear: Percent | None = Field(20.0, description="At or below this share it has recovered.")
    min_size: SizeBytes = Field(1024**3, description="Size that the dead rows must have, estimated.")


def evaluate(reading: Snapshot[Any] | Delta[Any], params: DeadTuplesParams, context: Context) -> Judgement:
    database = reading.database if isinstance(reading, Snapshot) else None
    scope = Scope(databases=None if database is None else frozenset({database}))
    if context.facts is not None and context.facts.in_recovery:
        return Judgement((), scope)
    rows: TableStatsReading = reading.rows
    found = (
        _finding(table, rows, params, database, context)
        for table in rows.tables
        if table.dead_size_bytes >= params.min_size
    )
    return Judgement(tuple(each for each in found if each is not None), scope)


def _finding(
    table: TableStats,
    rows: TableStatsReading,
    params: DeadTuplesParams,
    database: str | None,
    context: Context,
) -> Finding | None:
    level = grade(table.dead_percent, params)
    if level is None:
        return None
    size = format_size(table.dead_size_bytes)
    vain = _vacuum.in_vain(table)
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=f"{'toast of ' if table.toast else ''}table {table.shown}",
        level=Level.HOLD if table.running else level,
        summary=f"{table.dead_percent:.0f} % of the rows of {_vacuum.named(table)} are dead:"
        f" {table.dead_rows:,}, about {size}",
        value=table.dead_percent,
        evidence=Evidence(
            impact="Every scan of the table reads them, and the space they take is not used again before a vacuum.",
            figures=(
                Figure("Dead rows", f"{table.dead_rows:,} (about {size})"),
                Figure("Live rows", f"{table.live_rows:,}"),
                Figure("Table", format_size(table.size_bytes)),
                Figure("Autovacuum comes at", f"{table.dead_threshold:,.0f} dead rows"),
                Figure("Last vacuum", _vacuum.vacuumed(table)),
            ),
            cause=_cause(table, rows, vain=vain),
        ),
        steps=_steps(table, vain=vain),
        about=frozenset({_vacuum.entity(database, table)})
        | (_vacuum.horizons(database) if vain else frozenset()),
    )


def _cause(table: TableStats, rows: TableStatsReading, *, vain: bool) -> str:
    if not rows.workers.enabled or not table.enabled:
        return "Autovacuum is switched off, for the server or for this table."
    if vain:
        return (
            "Vacuum was there within the hour and could not remove the rows: somebody holds the xmin horizon."
        )
    if table.dead_ratio < 1:
        return (
            f"Autovacuum waits for {table.dead_threshold:,.0f} dead rows: its scale factor is too large for a table"
            " of this size."
        )
    return "Autovacuum is due and has not finished: busy with other tables, cancelled by locks, or slow."


def _steps(table: TableStats, *, vain: bool) -> tuple[Step, ...]:
    first = (_vacuum.holder_step(),) if vain else ()
    lower = (
        Step(
            "For good: let autovacuum come to this table sooner; each visit is shorter then.",
            f"ALTER TABLE {table.shown} SET ({'toast.' * table.toast}autovacuum_vacuum_scale_factor = 0.02)",
        ),
    )
    by_hand = _vacuum.vacuum_step(table, "Vacuum it by hand, in its database: reads and writes go on.")
    return (*first, by_hand, *lower)


RULE = Rule(
    name="dead_tuples",
    watches=("table_stats",),
    params=DeadTuplesParams,
    evaluate=evaluate,
    dormant=_dormant.no_counts,
    doc=RuleDoc(
        meaning="Updates and deletes leave dead rows until vacuum removes them. In this table they are a large part of"
        " the rows and of the space. Where autovacuum is far behind its own threshold, autovacuum_behind tells it;"
        " this rule alone speaks where the threshold itself lets too many gather.",
        magnitude="dead rows as a percentage of live and dead rows",
        why_these_defaults="Autovacuum's default comes at 20 % of the live rows, which is 17 % of all: that is ordinary."
        " 30 % for an hour is not. Ratio and size together: a small table that is half dead costs nothing, so the"
        " dead rows must be 1 GB. (Other tools tell from 10 % and 1,000 or 10,000 rows on, and are switched off.)"
        " While a vacuum works on the table nothing begins.",
        evidence="Dead and live rows, their size, the threshold at which autovacuum comes, and the last vacuum.",
        what_to_do="Vacuum the table; let go what holds the xmin horizon if vacuum removes nothing; lower the table's"
        " scale factor.",
        how_to_look="""\
SELECT schemaname, relname, n_dead_tup, n_live_tup,
       round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0), 1) AS dead_percent
FROM pg_stat_all_tables
ORDER BY n_dead_tup DESC
LIMIT 20""",
    ),
)
