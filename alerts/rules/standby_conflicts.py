"""Queries on a standby that were cancelled because replication needed what they held."""

from typing import Any

from pydantic import Field

from alerts.grading import counted, grade
from alerts.rules import _dormant
from alerts.rules._tables import table_block
from collectors.database_stats import CONFLICTS, DatabaseStatsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, NumberParams, Rule, RuleDoc
from pgvigil.trends import increase
from pgvigil.units import DurationS, format_duration

_SUBJECT = "recovery conflicts"


class StandbyConflictsParams(NumberParams):
    within_s: DurationS = Field(600.0, alias="within", description="Conflicts of this time are counted.")
    warning: float | None = Field(5, description="Cancelled queries within that time.")
    critical: float | None = Field(None, description="Cancelled queries within that time.")
    clear: float | None = Field(0, description="At or below this number it has recovered.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: StandbyConflictsParams, context: Context
) -> Judgement:
    if context.facts is None or not context.facts.in_recovery:
        return Judgement((), Scope())
    rows: DatabaseStatsReading = reading.rows
    if not any(len(context.history("conflicts", row.database)) > 1 for row in rows.databases):
        return Judgement((), NOTHING)  # a first reading tells no increase: what fires goes on
    by_database = _grown("conflicts", (row.database for row in rows.databases), params, context)
    total = sum(by_database.values())
    level = grade(total, params)
    if level is None:
        return Judgement((), Scope())
    by_cause = _grown("conflicts_by_cause", CONFLICTS, params, context)
    return Judgement((_finding(total, level, by_database, by_cause, params, context),), Scope())


def _grown(series: str, keys: Any, params: StandbyConflictsParams, context: Context) -> dict[str, float]:
    """What grew, the largest first."""
    grown = ((key, increase(context.history(series, key), params.within_s)) for key in keys)
    found = {key: each.value for key, each in grown if each is not None and each.value}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _finding(
    total: float,
    level: Level,
    by_database: dict[str, float],
    by_cause: dict[str, float],
    params: StandbyConflictsParams,
    context: Context,
) -> Finding:
    causes = ", ".join(f"{number:,.0f} {_WORDS[cause]}" for cause, number in by_cause.items())
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject=_SUBJECT,
        level=level,
        summary=f"{counted(int(total), 'query', 'queries')} cancelled on the standby in the last"
        f" {format_duration(params.within_s)}{': ' + causes if causes else ''}",
        value=total,
        evidence=Evidence(
            impact="Each ended with an error (40001, or 40P01) although nothing was wrong with it.",
            figures=(
                Figure("Cancelled", f"{total:,.0f}"),
                *(Figure(_WORDS[cause].capitalize(), f"{number:,.0f}") for cause, number in by_cause.items()),
            ),
            blocks=(
                table_block(
                    "By database",
                    ("queries", "database"),
                    [(round(number), name) for name, number in by_database.items()],
                    5,
                ),
            ),
            cause=_CAUSES.get(next(iter(by_cause), ""), ""),
        ),
        steps=_steps(next(iter(by_cause), "")),
    )


_WORDS = {
    "tablespace": "by a dropped tablespace",
    "lock": "by locks of the primary",
    "snapshot": "by row versions that were vacuumed away",
    "bufferpin": "by pinned buffers",
    "deadlock": "by deadlocks with recovery",
    "active_logicalslot": "by logical slots",
}

_CAUSES = {
    "tablespace": "A tablespace that the queries used for temporary files was dropped on the primary.",
    "lock": "DDL, or vacuum cutting off the end of a table, took ACCESS EXCLUSIVE on the primary.",
    "snapshot": "Vacuum on the primary removed rows that long queries here may still have to see.",
    "bufferpin": "A query held a page that the replay had to clean up.",
    "deadlock": "A query held what the replay waited for, and waited for it.",
    "active_logicalslot": "A logical slot on the standby needed what the primary removed.",
}


def _steps(cause: str) -> tuple[Step, ...]:
    look = Step("See the conflicts by cause.", "SELECT * FROM pg_stat_database_conflicts ORDER BY datname")
    reload = Step("Have it read.", "SELECT pg_reload_conf()")
    delay = Step(
        "Or let the replay wait longer for queries; the standby lags by as much.",
        "ALTER SYSTEM SET max_standby_streaming_delay = '5min'",
    )
    if cause == "snapshot":
        feedback = Step(
            "On this standby: tell the primary what is still needed (hot_standby_feedback); dead rows stay there for as"
            " long as the longest query here.",
            "ALTER SYSTEM SET hot_standby_feedback = on",
        )
        return (look, feedback, delay, reload)
    if cause == "lock":
        truncate = Step(
            "Move DDL to quiet hours. If it is vacuum: ALTER TABLE ... SET (vacuum_truncate = off) for the tables that"
            " are read here."
        )
        return (look, truncate, delay, reload)
    return (look, delay, reload)


RULE = Rule(
    name="standby_conflicts",
    unit="cancelled queries",
    watches=("database_stats",),
    params=StandbyConflictsParams,
    evaluate=evaluate,
    dormant=_dormant.primary,
    doc=RuleDoc(
        meaning="The replay on a standby had to go on and cancelled queries that were in its way. Their callers got"
        " errors. On a primary there is no such thing.",
        magnitude="queries cancelled on the standby within `within`, a number",
        why_these_defaults="One cancelled query is the price of a standby that does not lag (PostgreSQL manual, 26.4.2,"
        " Handling Query Conflicts). Five in ten minutes are a pattern: reports that never finish. A warning, since"
        " nothing is broken and either setting that helps has its own price.",
        evidence="The cancelled queries by cause and by database.",
        what_to_do="Row versions: hot_standby_feedback, or shorter queries. Locks: DDL at quiet hours, vacuum_truncate"
        " off. Otherwise a longer max_standby_streaming_delay, if the standby may lag.",
        how_to_look="SELECT * FROM pg_stat_database_conflicts ORDER BY datname",
    ),
)
