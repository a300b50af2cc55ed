"""An archiver that works and does not keep up."""

from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _archiving, _dormant
from alerts.rules._volume import VOLUME
from collectors.archiver import ArchiverReading
from pgvigil.model.evidence import Evidence, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SizeParams
from pgvigil.units import DurationS, SizeBytes

_GB = 1024**3


class ArchiverBehindParams(SizeParams):
    for_s: DurationS = Field(600.0, alias="for", description="How long it must hold before it fires.")
    warning: SizeBytes | None = Field(1 * _GB, description="WAL that waits for the archiver.")
    critical: SizeBytes | None = Field(20 * _GB, description="WAL that waits for the archiver.")
    clear: SizeBytes | None = Field(_GB // 4, description="At or below this size it has recovered.")
    within_s: DurationS = Field(900.0, alias="within", description="It must not have fallen over this time.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ArchiverBehindParams, context: Context
) -> Judgement:
    rows: ArchiverReading = reading.rows
    if not rows.archiver.active:
        return Judgement((), Scope())
    waiting = rows.waiting_bytes
    if waiting is None:
        return Judgement((), NOTHING)
    level = grade(waiting, params)
    if level is None:
        return Judgement((), Scope())
    if _catching_up(params, context):
        level = Level.HOLD
    return Judgement((_finding(rows, waiting, level, context),), Scope())


def _catching_up(params: ArchiverBehindParams, context: Context) -> bool:
    """Whether what waits gets less; before enough is known of the past it does not."""
    slope = _archiving.growth(context, params.within_s)
    return slope is not None and slope.per_s < 0


def _finding(rows: ArchiverReading, waiting: int, level: Level, context: Context) -> Finding:
    set_up = rows.archiver.configured
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_archiving.SUBJECT,
        level=level,
        summary=f"The archiver does not keep up: {_archiving.waiting_words(rows)}"
        if set_up
        else f"archive_mode is on without a command or library: {_archiving.waiting_words(rows)}",
        value=waiting,
        evidence=Evidence(
            impact="A recovery would lose what waits, and pg_wal keeps it all: in the end the disk is full and the"
            " server stops.",
            figures=_archiving.figures(rows, context),
            cause="More WAL is written than the command can carry away: a slow archive, or a burst of writes."
            if set_up
            else "Nothing is configured that would archive, so that every file waits for ever.",
        ),
        steps=_STEPS if set_up else _SET_UP,
        about=frozenset({_archiving.SUBJECT, VOLUME}),
    )


_STEPS = (
    Step("See how far it is, twice: the files should follow each other.", "SELECT * FROM pg_stat_archiver"),
    Step("See whether a command hangs: look at the child processes of the archiver on the server."),
    Step("Archive faster: several files at once (archive-async of pgBackRest, WAL-G), or compress less."),
    Step("Write less WAL: wal_compression, a larger max_wal_size, bulk loads in smaller steps."),
)

_SET_UP = (
    Step("See what is set.", "SHOW archive_command"),
    Step(
        "Set archive_command or archive_library and reload; what waits is archived then. If nothing is to be"
        " archived, set archive_mode = off and restart. A command that always succeeds (/bin/true) lets pg_wal shrink at"
        " once and throws the log away: no backup can be recovered beyond that moment.",
    ),
)


RULE = Rule(
    name="archiver_behind",
    watches=("archiver",),
    params=ArchiverBehindParams,
    evaluate=evaluate,
    dormant=_dormant.no_archive,
    doc=RuleDoc(
        meaning="WAL files wait for the archiver, and they do not get fewer. Archiving works, or seems to, but slower"
        " than WAL is written; or it hangs; or nothing is configured that would do it.",
        magnitude="size of the WAL that waits for the archiver",
        why_these_defaults="temBoard warns at 10 waiting files; that is 160 MB and a busy minute, so that 1 GB (64 files of"
        " 16 MB) must wait for ten minutes and not get less over 15. A burst that drains is not told. 20 GB are"
        " much of a small disk, and a long stretch of time to lose. A failing archiver"
        " (archiver_failing) has this as its evidence.",
        evidence="How many files and bytes wait, for how long, and how fast they grow.",
        what_to_do="Find out whether the command hangs or is slow; archive in parallel; write less WAL.",
        how_to_look="SELECT count(*) AS waiting, min(modification) AS first FROM pg_ls_archive_statusdir()\n"
        "WHERE name LIKE '%.ready';\nSELECT * FROM pg_stat_archiver",
    ),
)
