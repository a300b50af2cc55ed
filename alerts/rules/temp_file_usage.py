"""Statements of a database spill a lot, hour after hour."""

from typing import Any

from pydantic import Field

from alerts.grading import grade
from collectors.database_stats import DatabaseStatsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SizeParams
from pgvigil.text import one_line
from pgvigil.trends import Increase, increase
from pgvigil.units import DurationS, SizeBytes, format_duration, format_size

_WINDOW_S = 3600.0
_LEAST_S = 1200.0  # less of the past than this is one report
_GIB = 1024**3


class TempFileUsageParams(SizeParams):
    for_s: DurationS = Field(1800.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        3600.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: SizeBytes | None = Field(100 * _GIB, description="Written to temporary files in an hour.")
    info: SizeBytes = Field(10 * _GIB, description="In an hour; from here on it is worth a line.")


def evaluate(reading: Snapshot[Any] | Delta[Any], params: TempFileUsageParams, context: Context) -> Judgement:
    rows: DatabaseStatsReading = reading.rows
    found, unknown = [], []
    for row in rows.databases:
        grown = increase(context.history("temp_bytes", row.database), _WINDOW_S)
        if grown is None or grown.elapsed_s < _LEAST_S:
            unknown.append(_subject(row.database))
            continue
        an_hour = grown.per_s * 3600
        level = grade(an_hour, params) or (Level.INFO if an_hour >= params.info else None)
        if level is not None:
            found.append(_finding(row.database, an_hour, grown, level, context))
    if len(unknown) == len(rows.databases):
        return Judgement((), NOTHING)
    return Judgement(
        tuple(found), Scope(not_covered=frozenset(unknown), reason="too little is known of the past")
    )


def _subject(database: str) -> str:
    return f"temporary files of database {database}"


def _finding(database: str, an_hour: float, grown: Increase, level: Level, context: Context) -> Finding:
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=_subject(database),
        level=level,
        summary=f"Statements in {one_line(database, 60)} write {format_size(an_hour)} an hour to temporary files",
        value=an_hour,
        evidence=Evidence(
            impact="They wait for the disk, and the page cache holds their files instead of tables.",
            figures=(
                Figure("Written", format_size(grown.value)),
                Figure("Within", format_duration(grown.elapsed_s)),
            ),
            cause="Sorts, hashes or materialised steps that do not fit into work_mem.",
        ),
        steps=(
            Step(
                "See which statements spill.",
                "SELECT queryid, calls, temp_blks_written, left(query, 100) AS query FROM pg_stat_statements"
                " ORDER BY temp_blks_written DESC LIMIT 10",
            ),
            Step(
                "Raise work_mem for the role or the statement that needs it, not for all: each sort of each session"
                " may take that much. Or sort less: an index in the right order, a LIMIT, fewer columns."
            ),
        ),
    )


RULE = Rule(
    name="temp_file_usage",
    watches=("database_stats",),
    params=TempFileUsageParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="Statements of a database write many gigabytes to temporary files, hour after hour: they do not fit into"
        " work_mem. It costs time and disk bandwidth, and breaks nothing; files that are there now and may fill the"
        " disk are live_temp_files.",
        magnitude="bytes written to temporary files in an hour, a size",
        why_these_defaults="A nightly report that spills 10 GB is ordinary and is told as info, if it lasts for half an"
        " hour. 100 GB an hour are 28 MB/s all the time, which a volume shared with the tables feels. temBoard's 1 and"
        " 10 MB and pgEdge's ten files fire on any report.",
        evidence="How much was written in the last hour, from the server's own counter; a reset of the statistics"
        " begins a new hour.",
        what_to_do="Find the statements with the most temp_blks_written; give them work_mem or an index.",
        how_to_look="""\
SELECT datname, temp_files, pg_size_pretty(temp_bytes) AS written, stats_reset
FROM pg_stat_database
ORDER BY temp_bytes DESC NULLS LAST
LIMIT 10""",
    ),
)
