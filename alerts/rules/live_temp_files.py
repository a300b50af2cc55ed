"""Temporary files take gigabytes at this moment."""

from dataclasses import replace
from typing import Any

from pydantic import Field

from alerts.grading import counted, grade
from alerts.rules._forecasts import worse
from alerts.rules._sessions import cancel_step, look_step, query_block
from alerts.rules._tables import table_block
from collectors.temp_files import Holder, TempFilesReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SizeParams
from pgvigil.text import one_line
from pgvigil.units import DurationS, Percent, SizeBytes, format_duration, format_size

_GIB = 1024**3


class LiveTempFilesParams(SizeParams):
    for_s: DurationS = Field(60.0, alias="for", description="How long it must hold before it fires.")
    warning: SizeBytes | None = Field(20 * _GIB, description="Temporary files together.")
    critical: SizeBytes | None = Field(200 * _GIB, description="Temporary files together.")
    clear: SizeBytes | None = Field(10 * _GIB, description="At or below this it has recovered.")
    critical_of_disk: Percent = Field(
        25.0, description="Critical at this share of disk_size too, where that is set."
    )


def evaluate(reading: Snapshot[Any] | Delta[Any], params: LiveTempFilesParams, context: Context) -> Judgement:
    rows: TempFilesReading = reading.rows
    if rows.holders is None:
        kept = context.kept("pg_ls_tmpdir(oid)")
        return Judgement(
            (), replace(NOTHING, reason="the role may not see temporary files", not_offered=kept)
        )
    level = worse(grade(rows.size_bytes, params), _of_disk(rows, params, context))
    if level is None:
        return Judgement((), Scope())
    largest = rows.holders[0]
    finding = Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="temporary files",
        level=level,
        summary=f"Temporary files take {format_size(rows.size_bytes)}"
        f" in {counted(len(rows.holders), 'session')}; {format_size(largest.size_bytes)} are of {_who(largest)}",
        value=float(rows.size_bytes),
        evidence=_evidence(rows, largest, context),
        steps=_steps(largest),
    )
    return Judgement((finding,), Scope())


def _of_disk(rows: TempFilesReading, params: LiveTempFilesParams, context: Context) -> Level | None:
    if context.disk_size_bytes is None:
        return None
    share = 100 * rows.size_bytes / context.disk_size_bytes
    return Level.CRITICAL if share >= params.critical_of_disk else None


def _who(holder: Holder) -> str:
    if holder.owner is None:
        return f"pid {holder.pid}, which has gone" if holder.pid else "nobody that is known"
    application = one_line(holder.owner.application, 40)
    user = f"user {one_line(holder.owner.user_name or '', 40)}"
    return f"pid {holder.pid} ({application + ', ' if application else ''}{user})"


def _evidence(rows: TempFilesReading, largest: Holder, context: Context) -> Evidence:
    holders = rows.holders or ()
    return Evidence(
        impact="They go on growing until the statement ends or the volume is full, and then every session fails"
        " that writes.",
        figures=(
            Figure("Together", format_size(rows.size_bytes)),
            *(
                (Figure("disk_size", format_size(context.disk_size_bytes)),)
                if context.disk_size_bytes is not None
                else ()
            ),
        ),
        blocks=(
            table_block(
                "Whose they are",
                ("size", "files", "session", "database", "running for"),
                [*map(_row, holders)],
                8,
            ),
            *(
                (query_block("The largest one's statement", largest.owner.query or ""),)
                if largest.owner
                else ()
            ),
        ),
        cause="A sort, hash or materialised step that does not fit into work_mem: often a join without its condition,"
        " or an estimate that is far off.",
    )


def _row(holder: Holder) -> tuple[object, ...]:
    age_s = None if holder.owner is None else holder.owner.query_age_s
    return (
        format_size(holder.size_bytes),
        holder.files,
        _who(holder),
        (holder.owner.database if holder.owner else "") or "",
        "" if age_s is None else format_duration(age_s),
    )


def _steps(largest: Holder) -> tuple[Step, ...]:
    if largest.owner is None:
        return (Step("Files that a crash left behind go with the next restart of the server."),)
    started = largest.owner.backend_start
    return (
        look_step(largest.pid, started),
        cancel_step(
            largest.pid, started, "Cancel the statement: its files go at once, the connection stays."
        ),
        Step("For good: temp_file_limit for the role; more work_mem for this statement only; a better plan."),
    )


RULE = Rule(
    name="live_temp_files",
    watches=("temp_files",),
    params=LiveTempFilesParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="Statements have spilled gigabytes into temporary files that are there now. One join without its condition"
        " can fill the volume within minutes, and then nobody can write.",
        magnitude="temporary files that are there now, a size",
        why_these_defaults="Reports and index builds spill gigabytes by design, so 20 GB that stay for a minute are the"
        " first size that is worth a look, and 200 GB are of the size of the outage that made others watch this"
        " (228 GB in one query). With disk_size set, a quarter of the volume is critical whatever the size. pgEdge's"
        " ten files and temBoard's 10 MB fire on any report.",
        evidence="Which sessions hold how much, since when they run, and the largest one's statement without literals."
        " Files of parallel hash joins lie where SQL cannot see them.",
        what_to_do="Cancel the statement. temp_file_limit keeps the next one from doing it.",
        how_to_look="""\
SELECT t.spcname, f.name, pg_size_pretty(f.size), f.modification
FROM pg_tablespace AS t, pg_ls_tmpdir(t.oid) AS f
WHERE t.spcname <> 'pg_global'
ORDER BY f.size DESC
LIMIT 20""",
    ),
)
