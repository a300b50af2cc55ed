"""A newer minor release of the server's major version is out."""

from datetime import UTC, datetime, time
from typing import Any

from pydantic import Field

from alerts.grading import counted, grade
from alerts.rules._tables import table_block
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, DurationParams, Rule, RuleDoc
from pgvigil.releases import Release, releases, split
from pgvigil.units import DurationS

_SHOWN = 8


class MinorVersionBehindParams(DurationParams):
    warning: DurationS | None = Field(
        90 * 86400.0, description="Time since the first release with security fixes that is missing."
    )
    critical: DurationS | None = Field(
        None, description="Time since the first release with security fixes that is missing."
    )
    clear: DurationS | None = Field(
        None, description="Without effect: a missing release is told as info from the first day."
    )


def evaluate(
    _reading: Snapshot[Any] | Delta[Any], params: MinorVersionBehindParams, context: Context
) -> Judgement:
    if context.facts is None:
        return Judgement((), NOTHING)
    missed = releases().missed(context.facts.version_num)
    if not missed:
        return Judgement((), Scope())
    open_s = max((_age_s(each, context.now) for each in missed if each.security), default=0.0)
    level = max(Level.INFO, grade(open_s, params) or Level.INFO)
    return Judgement((_finding(missed, open_s, level, context.facts.version_num, context),), Scope())


def _age_s(release: Release, now: datetime) -> float:
    return max(0.0, (now - datetime.combine(release.date, time(), UTC)).total_seconds())


def _finding(
    missed: tuple[Release, ...], open_s: float, level: Level, version_num: int, context: Context
) -> Finding:
    major, minor = split(version_num)
    latest, security = missed[0], sum(each.security for each in missed)
    fixes = f", {security} of them with security fixes" if security else ""
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="server version",
        level=level,
        summary=f"PostgreSQL {major}.{minor} lacks {counted(len(missed), 'minor release')}{fixes};"
        f" {major}.{latest.minor} is of {latest.date}",
        value=open_s,
        evidence=Evidence(
            impact="Faults that are known and mended are still in it, some of them known to attackers."
            if security
            else "Faults that are known and mended are still in it.",
            figures=(
                Figure("Server", f"{major}.{minor}"),
                Figure("Latest known", f"{major}.{latest.minor}, {latest.date}"),
                Figure("Known as of", str(releases().as_of)),
            ),
            blocks=(
                table_block(
                    "Releases that it lacks",
                    ("release", "date", "security fixes"),
                    [(f"{major}.{each.minor}", each.date, "yes" if each.security else "") for each in missed],
                    _SHOWN,
                ),
            ),
        ),
        steps=_steps(major),
    )


def _steps(major: int) -> tuple[Step, ...]:
    return (
        Step(
            f"Read the release notes between the two: some ask for a REINDEX or another step afterwards."
            f" https://www.postgresql.org/docs/{major}/release.html"
        ),
        Step(
            "Install the packages and restart, standbys first: data files stay as they are, nothing is dumped. A newer"
            f" release than {releases().as_of} knows of may be out."
        ),
    )


RULE = Rule(
    name="minor_version_behind",
    watches=("settings",),
    params=MinorVersionBehindParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="The project has released newer minor versions of the server's major version. They hold fixes only:"
        " data loss, wrong results, crashes, security. pgvigil compares with a file that it ships; a server that is"
        " newer than the file is never called behind, and the message says how old the file is.",
        magnitude="time since the first release with security fixes that the server lacks",
        why_these_defaults="Info from the first day. Minor releases come every three months (PostgreSQL roadmap:"
        " February, May, August, November), so a warning after 90 days means that a whole round of security fixes was"
        " left out. Never critical: no server is to be restarted at night for it.",
        evidence="The server's release, the latest one that is known, each that lies between, and as of when this is"
        " known.",
        what_to_do="Read the release notes, install, restart: standbys first, then switch over.",
        how_to_look="SELECT version()",
    ),
)
