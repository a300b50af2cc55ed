"""A data page failed its checksum: storage, or memory, damaged it."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from alerts.grading import counted
from alerts.rules import _dormant
from collectors.database_stats import DatabaseStats, DatabaseStatsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.text import one_line
from pgvigil.units import DurationS


class ChecksumFailuresParams(SeverityParams):
    severity: str = Field(
        "critical", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    within_s: DurationS = Field(
        7 * 86400.0, alias="within", description="How long after the last failure it is told."
    )


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: ChecksumFailuresParams, context: Context
) -> Judgement:
    rows: DatabaseStatsReading = reading.rows
    since = context.now - timedelta(seconds=params.within_s)
    found = []
    for row in rows.databases:
        last = row.checksum_last_failure
        if row.checksum_failures and last is not None and last >= since:
            found.append(_finding(row, row.checksum_failures, last, params, context))
    return Judgement(tuple(found), Scope())


def _finding(
    row: DatabaseStats, failures: int, last: datetime, params: ChecksumFailuresParams, context: Context
) -> Finding:
    where = f"in database {one_line(row.database, 80)}" if row.database else "in what all databases share"
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=row.database or None,
        subject="checksum failures",
        level=params.level,
        summary=f"{counted(failures, 'data page')} failed the checksum {where}, the last at {last:%Y-%m-%d %H:%M} UTC",
        value=float(failures),
        evidence=Evidence(
            impact="What is on such a page is lost here unless a standby or a backup has it whole; statements that read it"
            " fail. More pages of the same disk may be damaged and not read yet.",
            figures=(
                Figure("Failed reads", f"{failures:,}"),
                Figure("Last failure", f"{last:%Y-%m-%d %H:%M:%S} UTC"),
                Figure(
                    "Counted since",
                    "the beginning" if row.stats_reset is None else f"{row.stats_reset:%Y-%m-%d %H:%M} UTC",
                ),
            ),
            cause="A disk, controller, cable, file system or memory that damages data. A base backup counts here too when it"
            " meets such a page.",
        ),
        steps=_STEPS,
    )


_STEPS = (
    Step(
        'Find the pages: the server\'s log has "page verification failed" and "invalid page in block N of relation'
        ' base/DATABASE/FILE". Which relation that is (put FILE in place of 12345):',
        "SELECT oid::regclass, relkind FROM pg_class WHERE pg_relation_filenode(oid) IN (12345)",
    ),
    Step(
        "Keep every backup from before the first failure, and expire none until this is over. Take a copy of the data"
        " directory before you repair anything."
    ),
    Step(
        "Look at the standbys: each writes its own pages, so theirs may be whole. Read the relation there; if it is, the"
        " safest way is to switch over and rebuild this server on other storage."
    ),
    Step(
        "An index can be rebuilt from its table (REINDEX). A table's page comes from a standby or a backup. Leave"
        " zero_damaged_pages and ignore_checksum_failure off: they make the loss final."
    ),
    Step("See what else is damaged: pg_checksums --check on a stopped copy, dmesg and SMART of the machine."),
)

RULE = Rule(
    name="checksum_failures",
    unit="failures",
    watches=("database_stats",),
    params=ChecksumFailuresParams,
    evaluate=evaluate,
    dormant=_dormant.no_checksums,
    doc=RuleDoc(
        meaning="The server read a data page whose checksum was wrong: data that was written is not what came back. It is"
        " counted only where checksums are on (checksums_off). One finding for each database.",
        magnitude="",
        why_these_defaults="Critical from the first one: it is loss of data, it tends to spread, and every backup from now"
        " on holds it (pgmonitor: critical above 0). Told for seven days after the last failure, because a page that"
        " nobody reads again is still damaged.",
        evidence="How many reads failed in which database, when the last one did, and since when they are counted.",
        what_to_do="Find the pages in the log, keep the backups, compare with a standby, move to other storage; never make"
        " the server ignore it.",
        how_to_look="SELECT datname, checksum_failures, checksum_last_failure FROM pg_stat_database"
        " WHERE checksum_failures > 0",
    ),
)
