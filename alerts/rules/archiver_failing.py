"""Write-ahead log that cannot be archived: backups end here, and the disk fills."""

from typing import Any

from pydantic import Field

from alerts.grading import duration_figure, grade
from alerts.rules import _archiving, _dormant
from alerts.rules._forecasts import ForecastParams, by_time, worse
from alerts.rules._volume import VOLUME
from collectors.archiver import Archiver, ArchiverReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, DurationParams, Rule, RuleDoc
from pgvigil.text import one_line
from pgvigil.trends import Eta, eta
from pgvigil.units import DurationS, Percent, format_duration, format_size


class ArchiverFailingParams(ForecastParams, DurationParams):
    warning: DurationS | None = Field(300.0, description="How long nothing was archived that should be.")
    critical: DurationS | None = Field(3600.0, description="How long nothing was archived that should be.")
    critical_within_s: DurationS | None = Field(
        86400.0,
        alias="critical_within",
        description="Critical, too, when WAL alone fills the disk within this time, where its size is configured.",
    )
    critical_disk_percent: Percent | None = Field(
        10.0,
        description="Critical, too, when what waits takes this share of the disk, where its size is configured.",
    )


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ArchiverFailingParams, context: Context
) -> Judgement:
    rows: ArchiverReading = reading.rows
    nothing_waits = rows.ready is not None and rows.ready.files == 0
    if not rows.archiver.active or not rows.archiver.failing or nothing_waits:
        return Judgement((), Scope())
    waited_s = _waited_s(rows, context)
    level = worse(grade(waited_s, params), _by_disk(rows, params, context))
    return Judgement(() if level is None else (_finding(rows, waited_s, level, context),), Scope())


def _waited_s(rows: ArchiverReading, context: Context) -> float:
    """How long nothing was archived although it should be: since the last success, if the first file waited then."""
    first = _failing_s(rows, context) if rows.ready is None else rows.ready.oldest_s
    known = [each for each in (first, rows.archiver.since_archived_s) if each is not None]
    return min(known, default=rows.archiver.since_failed_s or 0.0)


def _failing_s(rows: ArchiverReading, context: Context) -> float:
    """Where the role may not list what waits: since failures were counted after the last success, at least.

    The last success alone says nothing: on an idle server there was nothing to archive for hours.
    """
    last = rows.archiver.last_archived_at
    after = [point for point in context.history("failed") if last is None or point.at > last]
    first = next((point.at for point in after if point.value > after[0].value), context.now)
    return (context.now - first).total_seconds()


def _by_disk(rows: ArchiverReading, params: ArchiverFailingParams, context: Context) -> Level | None:
    if not context.disk_size_bytes or rows.waiting_bytes is None:
        return None
    taken = 100 * rows.waiting_bytes / context.disk_size_bytes
    large = params.critical_disk_percent is not None and taken >= params.critical_disk_percent
    return Level.CRITICAL if large else by_time(_full(rows, context), params)


def _full(rows: ArchiverReading, context: Context) -> Eta | None:
    """When what waits fills the disk, if nothing else were on it: at the latest then."""
    slope = _archiving.growth(context, _archiving.GROWTH_S)
    if slope is None or not context.disk_size_bytes:
        return None
    files = context.disk_size_bytes / rows.archiver.segment_bytes
    return eta(0.0 if rows.ready is None else rows.ready.files, files, slope)


def _finding(rows: ArchiverReading, waited_s: float, level: Level, context: Context) -> Finding:
    archiver = rows.archiver
    waiting = "" if rows.ready is None else f", {_archiving.waiting_words(rows)}"
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_archiving.SUBJECT,
        level=level,
        summary=f"Archiving of WAL has failed for {format_duration(waited_s)}{waiting}",
        value=waited_s,
        evidence=Evidence(
            impact="No backup can be restored to a time after the last archived file, and pg_wal grows until the disk"
            " is full: then the server stops.",
            figures=(
                *_archiving.figures(rows, context),
                Figure("Last failure", _failure(archiver)),
                duration_figure("Since the last success", archiver.since_archived_s),
                Figure("Failures so far", f"{archiver.failed:,}"),
                *_share(rows, context),
            ),
            cause="The archive cannot be reached, is full, refuses the log-in, or already has a file of that name"
            " from another server.",
        ),
        steps=_STEPS,
        about=frozenset({_archiving.SUBJECT, VOLUME}),
        explains=frozenset({_archiving.SUBJECT}),
    )


def _failure(archiver: Archiver) -> str:
    """The file, and how long ago: the archiver tries again about once a minute."""
    ago = "" if archiver.since_failed_s is None else f", {format_duration(archiver.since_failed_s)} ago"
    return f"{one_line(archiver.last_failed_wal or 'unknown file', 60)}{ago}"


def _share(rows: ArchiverReading, context: Context) -> tuple[Figure, ...]:
    if not context.disk_size_bytes or rows.waiting_bytes is None:
        return ()
    percent = 100 * rows.waiting_bytes / context.disk_size_bytes
    full = _full(rows, context)
    return (
        Figure("Of the disk", f"{percent:.1f} % of {format_size(context.disk_size_bytes)}"),
        *(() if full is None else (Figure("WAL alone fills it", full.words),)),
    )


_STEPS = (
    Step(
        "Read the command's own words in the server's log: \"archive command failed\", and the lines before it."
    ),
    Step("See what it tries, and when it last worked.", "SELECT * FROM pg_stat_archiver"),
    Step("See the command.", "SHOW archive_command"),
    Step("Mend the archive (space, credentials, path). The archiver goes on by itself within a minute."),
    Step(
        "Never delete files from pg_wal by hand: the server may not start again. If the disk is nearly full, make"
        " room elsewhere on it, or archive to another place with a changed archive_command."
    ),
)


RULE = Rule(
    name="archiver_failing",
    watches=("archiver",),
    params=ArchiverFailingParams,
    evaluate=evaluate,
    dormant=_dormant.no_archive,
    absorbs=frozenset({"archiver_behind"}),
    doc=RuleDoc(
        meaning="The last attempt to archive a WAL file failed, and files wait. Point-in-time recovery ends at the last"
        " file that was archived. What waits may not be removed: pg_wal grows, and a full disk stops the server.",
        magnitude="how long the first file has waited, or since the last success where that is less; a duration",
        why_these_defaults="The archiver tries each file three times and then once a minute (PostgreSQL manual, 25.3.1),"
        " so that a hiccup is over within five minutes. After an hour a recovery would lose an hour, and on a busy"
        " server tens of gigabytes wait. Where the size of the disk is configured, 10 % of it is critical at once,"
        " and so is WAL that alone would fill it within a day: a night is too late."
        " It resolves with the next success.",
        evidence="The file that fails, since when, how many files and bytes wait, how fast they grow, and how much of"
        " the disk they take where its size is known.",
        what_to_do="The server's log has the command's own message. Mend the archive; the server catches up by itself."
        " Never remove files from pg_wal.",
        how_to_look="SELECT failed_count, last_failed_wal, last_failed_time, last_archived_wal, last_archived_time\n"
        "FROM pg_stat_archiver;\n"
        "SELECT count(*), min(modification) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'",
    ),
)
