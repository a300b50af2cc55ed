"""A table grew much more than it ever does in a day."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules._peers import told_by_primary
from collectors.relation_sizes import RelationSize, RelationSizesReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SizeParams
from pgvigil.text import one_line
from pgvigil.units import Percent, SizeBytes, format_size

_DAY_S = 86_400.0
_GIB = 1024**3


class RelationGrowthParams(SizeParams):
    warning: SizeBytes | None = Field(
        100 * _GIB, description="Growth in 24 hours. Below it, what is beyond info is told as info."
    )
    info: SizeBytes = Field(10 * _GIB, description="Growth in 24 hours that is worth a line.")
    min_growth: Percent = Field(20.0, description="And at least this much of what it was a day ago.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: RelationGrowthParams, context: Context
) -> Judgement:
    rows: RelationSizesReading = reading.rows
    database = reading.database if isinstance(reading, Snapshot) else None
    found: list[Finding] = []
    unknown: list[str] = []
    for row in () if told_by_primary(context) else rows.relations:
        points = context.history("total", str(row.oid))
        before = _a_day_ago(points)
        if row.total_bytes is None:
            unknown.append(_subject(row))
        elif before is not None:
            level = _level(row.total_bytes, before, params)
            if level is not None:
                found.append(_finding(row, before, level, context, database))
    scope = Scope(
        databases=None if database is None else frozenset({database}),
        not_covered=frozenset(unknown),
        reason="the relation is under, or waited for with, ACCESS EXCLUSIVE" if unknown else "",
    )
    return Judgement(tuple(found), scope)


def _a_day_ago(points: Sequence[Point]) -> float | None:
    """The size of about a day ago: a table that is younger has nothing to be compared with."""
    if not points:
        return None
    old = [point for point in points if (points[-1].at - point.at).total_seconds() >= 0.9 * _DAY_S]
    return old[-1].value if old else None


def _level(size: int, before: float, params: RelationGrowthParams) -> Level | None:
    grown = size - before
    if grown < params.min_growth / 100 * before:
        return None
    return grade(grown, params) or (Level.INFO if grown >= params.info else None)


def _subject(row: RelationSize) -> str:
    return f"table {row.shown}"


def _finding(
    row: RelationSize, before: float, level: Level, context: Context, database: str | None
) -> Finding:
    now = float(row.total_bytes or 0)
    percent = f" ({100 * (now - before) / before:.0f} %)" if before else ""
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=_subject(row),
        level=level,
        summary=f"Table {one_line(row.shown, 80)} grew by {format_size(now - before)}{percent} in a day,"
        f" to {format_size(now)}",
        value=now - before,
        evidence=Evidence(
            impact="It takes room, memory and time: backups, vacuum and sequential scans grow with it.",
            figures=(
                Figure("A day ago", format_size(before)),
                Figure("Now", format_size(now)),
                Figure("Table and TOAST", format_size(row.table_bytes or 0)),
                Figure("Indexes", format_size(row.index_bytes or 0)),
            ),
            cause="A load or a backfill, rows that nothing deletes any more, or dead rows that vacuum cannot remove"
            " (dead_tuples, xmin_horizon_held).",
        ),
        steps=(
            Step(
                "See whether rows or dead rows grew.",
                "SELECT n_live_tup, n_dead_tup, n_tup_ins, n_tup_upd, n_tup_del, last_autovacuum"
                f" FROM pg_stat_all_tables WHERE relid = {row.oid}",
            ),
            Step(
                "See who writes into it now. If it is a load that somebody meant, let it end; if rows are to be deleted"
                " by a job, see whether that still runs.",
                "SELECT a.pid, a.usename, a.application_name, a.xact_start, l.mode FROM pg_locks AS l"
                f" JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE l.relation = {row.oid}"
                " AND l.mode = 'RowExclusiveLock'",
            ),
        ),
    )


RULE = Rule(
    name="relation_growth",
    watches=("relation_sizes",),
    params=RelationGrowthParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A table with its indexes grew by gigabytes and by a good part of its size within a day. Mostly that is"
        " a load that somebody knows about, so it is told as info; far more than that in a day is a warning.",
        magnitude="growth in 24 hours, a size",
        why_these_defaults="A size and a ratio together: 10 GB matter nowhere on a table of 10 TB, and 20 % of a small table"
        " matter nowhere at all. No published tool alerts on growth; 100 GB a day fills an ordinary volume within"
        " the week that disk_full_soon warns of. A table younger than a day, such as today's partition, is not compared,"
        " and after TRUNCATE or a rewrite the comparison begins anew.",
        evidence="The size now and a day ago, and how it divides into table and indexes.",
        what_to_do="Ask whose load it is. If dead rows grew instead of rows, look at what holds back vacuum.",
        how_to_look="""\
SELECT oid::regclass AS relation, pg_size_pretty(pg_total_relation_size(oid)) AS size
FROM pg_class
WHERE relkind IN ('r', 'm')
ORDER BY relpages DESC
LIMIT 20""",
    ),
)
