"""Transactions that the server ended because they waited for each other."""

from typing import Any

from pydantic import Field

from alerts.grading import counted, grade
from collectors.database_stats import DatabaseStats, DatabaseStatsReading
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, NumberParams, Rule, RuleDoc
from pgvigil.sql.identifiers import quote_text
from pgvigil.text import one_line
from pgvigil.trends import Increase, increase
from pgvigil.units import DurationS, format_duration


class DeadlocksParams(NumberParams):
    within_s: DurationS = Field(600.0, alias="within", description="Deadlocks of this time are counted.")
    info: float | None = Field(1, description="From this many on it is told as info.")
    warning: float | None = Field(5, description="Deadlocks of one database within that time.")
    critical: float | None = Field(None, description="Deadlocks of one database within that time.")


def evaluate(reading: Snapshot[Any] | Delta[Any], params: DeadlocksParams, context: Context) -> Judgement:
    rows: DatabaseStatsReading = reading.rows
    if not any(len(context.history("deadlocks", row.database)) > 1 for row in rows.databases):
        return Judgement((), NOTHING)  # a first reading tells no increase: what fires goes on
    found = (_judged(row, params, context) for row in rows.databases)
    return Judgement(tuple(finding for finding in found if finding is not None), Scope())


def _judged(row: DatabaseStats, params: DeadlocksParams, context: Context) -> Finding | None:
    grown = increase(context.history("deadlocks", row.database), params.within_s)
    if grown is None:
        grown = Increase(0.0, params.within_s)
    level = grade(grown.value, params)
    if level is None and params.info is not None and grown.value >= params.info:
        level = Level.INFO
    if level is None and _reset_lately(row, params, context):
        level = Level.HOLD
    return None if level is None else _finding(row, grown, level, context)


def _reset_lately(row: DatabaseStats, params: DeadlocksParams, context: Context) -> bool:
    """Whether the counters began anew within the time that is looked at: what went before cannot be told."""
    if row.stats_reset is None:
        return False
    return (context.now - row.stats_reset).total_seconds() < params.within_s


def _finding(row: DatabaseStats, grown: Increase, level: Level, context: Context) -> Finding:
    number = counted(int(grown.value), "deadlock")
    done = increase(context.history("transactions", row.database), grown.elapsed_s)
    name = one_line(row.database, 60)
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=row.database,
        subject="deadlocks",
        level=level,
        summary=f"{number} in database {name} in the last {format_duration(grown.elapsed_s)}",
        value=grown.value,
        evidence=Evidence(
            impact="In each, one transaction was ended with an error (40P01) and everybody in it waited for"
            f" {_deadlock_timeout(context)} first.",
            figures=(
                Figure("Deadlocks", f"{grown.value:,.0f} in {format_duration(grown.elapsed_s)}"),
                Figure("Rate", f"{grown.per_s * 3600:,.0f} per hour"),
                *(() if done is None else (Figure("Transactions meanwhile", f"{done.value:,.0f}"),)),
                Figure("Since the statistics began", f"{row.deadlocks:,}"),
            ),
            cause="Transactions that lock the same rows or tables in different orders.",
        ),
        steps=_steps(row.database),
    )


def _deadlock_timeout(context: Context) -> str:
    known = None if context.facts is None else context.facts.settings.get("deadlock_timeout")
    return "deadlock_timeout" if known is None else format_duration(float(known) / 1000)


def _steps(database: str) -> tuple[Step, ...]:
    return (
        Step(
            'Look into the server\'s log for "deadlock detected": it names the sessions, their statements and what'
            " each waited for."
        ),
        Step(
            "See whether it goes on.",
            f"SELECT datname, deadlocks, stats_reset FROM pg_stat_database WHERE datname = {quote_text(database)}",
        ),
        Step(
            "Lock in one order everywhere: sort the keys of a batch, or SELECT ... ORDER BY key FOR UPDATE first."
            " Until then the application should try again what failed with 40P01."
        ),
    )


RULE = Rule(
    name="deadlocks",
    unit="deadlocks",
    watches=("database_stats",),
    params=DeadlocksParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="Transactions waited for each other in a circle, and the server ended one of each circle with an"
        " error. Nothing is stuck any more, but work was lost, and the callers may not try again.",
        magnitude="deadlocks of one database within `within`, a number",
        why_these_defaults="A single deadlock is a fact worth knowing (info): a good application tries again. Five in ten"
        " minutes are a pattern in the code, and users feel them."
        " It is never critical by default: the server resolves deadlocks itself, after deadlock_timeout (PostgreSQL"
        " manual, 13.3.4, Deadlocks).",
        evidence="How many in how long, their rate, and the transactions in the same time.",
        what_to_do="The server's log has the statements of each deadlock. Make transactions lock in one order; keep them"
        " short; let the application try again.",
        how_to_look="SELECT datname, deadlocks, xact_commit + xact_rollback AS transactions, stats_reset\n"
        "FROM pg_stat_database WHERE deadlocks > 0 ORDER BY deadlocks DESC",
    ),
)
