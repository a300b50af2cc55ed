"""The server's major version gets no more fixes, or soon will not."""

from datetime import UTC, date, datetime, time
from typing import Any

from pydantic import Field

from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, RuleParams
from pgvigil.releases import releases, split
from pgvigil.units import DurationS

_DAY_S = 86400.0


class MajorEndOfLifeParams(RuleParams):
    notice_s: DurationS = Field(
        180 * _DAY_S, alias="notice", description="How long before the end it is told, as info."
    )
    warning_s: DurationS | None = Field(
        30 * _DAY_S, alias="warning", description="How long before the end it becomes a warning."
    )


def evaluate(
    _reading: Snapshot[Any] | Delta[Any], params: MajorEndOfLifeParams, context: Context
) -> Judgement:
    if context.facts is None:
        return Judgement((), NOTHING)
    major, _ = split(context.facts.version_num)
    end = releases().end_of_life.get(major)
    if end is None:
        return Judgement((), Scope())
    left_s = (datetime.combine(end, time(), UTC) - context.now).total_seconds()
    if left_s > max(params.notice_s, params.warning_s or 0.0):
        return Judgement((), Scope())
    warns = params.warning_s is not None and left_s <= params.warning_s
    level = Level.WARNING if warns else Level.INFO
    return Judgement((_finding(major, end, left_s, level, context),), Scope())


def _finding(major: int, end: date, left_s: float, level: Level, context: Context) -> Finding:
    days = int(abs(left_s) // _DAY_S)
    said = f"ends on {end}, in {days:,} days" if left_s > 0 else f"ended on {end}, {days:,} days ago"
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="major version",
        level=level,
        summary=f"Support of PostgreSQL {major} {said}",
        value=left_s,
        evidence=Evidence(
            impact="After that day the project mends neither security issues nor faults that lose data in it.",
            figures=(
                Figure("Server", context.facts.version if context.facts else ""),
                Figure("End of life", str(end)),
                Figure("Known as of", str(releases().as_of)),
            ),
        ),
        steps=_STEPS,
    )


_STEPS = (
    Step("Choose the version to move to: the newest that your extensions, drivers and provider support."),
    Step(
        "Rehearse it on a restored copy: pg_upgrade --check, then pg_upgrade or logical replication; then run"
        " ANALYZE, and compare plans and collation versions (collation_drift)."
    ),
)

RULE = Rule(
    name="major_end_of_life",
    unit="s",
    falling=True,
    watches=("settings",),
    params=MajorEndOfLifeParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="The PostgreSQL project supports a major version for five years. After that nothing in it is mended,"
        " known holes included. A provider or vendor may support it longer: then switch the rule off for that target.",
        magnitude="",
        why_these_defaults="Half a year is what an upgrade of a major version takes to plan and rehearse; a month"
        " before the end it becomes a warning, and stays one. Never critical: nothing happens on that very day. The"
        " dates are those of https://www.postgresql.org/support/versioning/.",
        evidence="The server's version, the day of its end, and as of when that is known.",
        what_to_do="Plan the upgrade: extensions, rehearsal on a copy, pg_upgrade or logical replication, ANALYZE.",
        how_to_look="SHOW server_version",
    ),
)
