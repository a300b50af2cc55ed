"""The volume of the server's data fills up."""

from dataclasses import replace
from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _dormant
from alerts.rules._forecasts import ForecastParams, by_time, forecast_figures, worse
from alerts.rules._tables import table_block
from alerts.rules._volume import VOLUME, filled_by
from collectors.database_sizes import SizesReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, PercentParams, Rule, RuleDoc
from pgvigil.text import one_line
from pgvigil.trends import eta, trend
from pgvigil.units import DurationS, Percent, SizeBytes, format_size

_PAST_S = 7 * 86_400.0
_SPAN_S = 3600.0  # a slope over less is no forecast
_DAY_S = 86_400.0
_GIB = 1024**3


class DiskFullSoonParams(ForecastParams, PercentParams):
    warning: Percent | None = Field(90.0, description="Share of disk_size that is used.")
    critical: Percent | None = Field(96.0, description="Share of disk_size that is used.")
    clear: Percent | None = Field(85.0, description="At or below this share it has recovered.")
    warning_within_s: DurationS | None = Field(
        7 * _DAY_S, alias="warning_within", description="A warning when it will be full within this time."
    )
    critical_within_s: DurationS | None = Field(
        _DAY_S, alias="critical_within", description="Critical when it will be full within this time."
    )
    enough_free_bytes: SizeBytes = Field(
        100 * _GIB, alias="enough_free", description="With this much free the share alone is no trouble."
    )


def evaluate(reading: Snapshot[Any] | Delta[Any], params: DiskFullSoonParams, context: Context) -> Judgement:
    rows: SizesReading = reading.rows
    size, used = context.disk_size_bytes, rows.volume_bytes
    if size is None:
        return Judgement((), NOTHING)
    if used is None:
        kept = context.kept("pg_ls_waldir()")
        return Judgement((), replace(NOTHING, reason="the role may not see all sizes", not_offered=kept))
    points = context.history("volume")
    slope = trend(points, _PAST_S)
    known = slope is not None and slope.span_s >= _SPAN_S
    when = eta(used, size, slope) if known else None
    percent, free = 100 * used / size, size - used
    by_share = grade(percent, params) if free < params.enough_free_bytes else None
    level = worse(by_share, by_time(when, params))
    if level is None:
        return Judgement((), Scope())
    told = f"The data volume is {percent:.0f} % full ({format_size(max(free, 0))} free)"
    finding = Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=VOLUME,
        level=level,
        summary=told if when is None else f"{told}; it is full {when.words}",
        value=percent,
        evidence=Evidence(
            impact="When it is full the server panics on the next write to the log, and does not start until there"
            " is room.",
            figures=(
                Figure("Databases and log", format_size(used)),
                Figure("disk_size", format_size(size)),
                *((Figure("Write-ahead log", format_size(rows.wal.size_bytes)),) if rows.wal else ()),
                *forecast_figures(when, slope),
            ),
            blocks=(
                table_block(
                    "What takes the room, and what grew in the last day",
                    ("database", "size", "grew"),
                    _growth(rows, context),
                    10,
                ),
            ),
            cause=_cause(rows, used),
        ),
        steps=_STEPS,
        explains=filled_by(level),
    )
    return Judgement((finding,), Scope())


def _growth(rows: SizesReading, context: Context) -> list[tuple[object, ...]]:
    """Of each database, the one that grew most first."""
    told: list[tuple[float, tuple[object, ...]]] = []
    for each in rows.databases:
        if each.size_bytes is None:
            continue
        past = [
            point
            for point in context.history("database", each.name)
            if (context.now - point.at).total_seconds() <= _DAY_S
        ]
        grew = past[-1].value - past[0].value if past else 0.0
        shown = format_size(grew) if grew >= 0 else f"-{format_size(-grew)}"
        told.append((grew, (one_line(each.name, 40), format_size(each.size_bytes), shown)))
    return [row for _, row in sorted(told, key=lambda pair: -pair[0])]


def _cause(rows: SizesReading, used: int) -> str:
    if rows.wal is not None and rows.wal.size_bytes > used / 3:
        return (
            "The write-ahead log is more than a third of it: a replication slot that nobody reads, an archive_command"
            " that fails, or wal_keep_size."
        )
    return "Data that grows; relation_growth and the incidents about temporary files say where."


_STEPS = (
    Step("Give it room first (grow the volume); then find out what grows."),
    Step("Never delete files in pg_wal by hand: the server cannot start without them."),
    Step(
        "See which slots hold back the log.",
        "SELECT slot_name, active, wal_status, pg_size_pretty(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()"
        " THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)) AS retained"
        " FROM pg_replication_slots ORDER BY restart_lsn",
    ),
    Step(
        "See the largest tables of a database.",
        "SELECT oid::regclass, pg_size_pretty(pg_total_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 'm')"
        " ORDER BY relpages DESC LIMIT 20",
    ),
)


RULE = Rule(
    name="disk_full_soon",
    watches=("database_sizes",),
    params=DiskFullSoonParams,
    evaluate=evaluate,
    dormant=_dormant.no_disk_size,
    absorbs=frozenset({"archiver_failing", "archiver_behind", "slot_retention", "slot_inactive"}),
    doc=RuleDoc(
        meaning="The volume that holds the databases and the write-ahead log fills up. SQL does not tell how large it"
        " is: set disk_size in the target's section, and this rule knows when it ends; without it nothing is judged."
        " Other tablespaces are taken to be other volumes. While it is critical, log that waits for the archive or for a"
        " slot without a limit is part of its message; with room again each stands for itself.",
        magnitude="databases and write-ahead log as a percentage of disk_size",
        why_these_defaults="90 % is pganalyze's and pgEdge's warning; like pganalyze it counts only while little is free"
        " (they say 50 GB, here 100 GB, because a volume of the log's size can go in an hour). Time decides"
        " before that: a week leaves time to order room, a day does not. The forecast is a robust slope over the last"
        " seven days and at least an hour; what may as well never fill is no alarm.",
        evidence="What is used and free, the part of the log, the forecast with its uncertainty, and which databases grew.",
        what_to_do="Grow the volume, or stop what grows: a slot that nobody reads (slot_retention), a failing"
        " archive_command (archiver_failing), temporary files (live_temp_files), a table (relation_growth). Never delete"
        " files of pg_wal by hand.",
        how_to_look="""\
SELECT datname, pg_size_pretty(pg_database_size(oid)) FROM pg_database ORDER BY pg_database_size(oid) DESC;
SELECT count(*) AS wal_files, pg_size_pretty(sum(size)) AS wal FROM pg_ls_waldir()""",
    ),
)
