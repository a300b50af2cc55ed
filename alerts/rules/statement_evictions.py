"""pg_stat_statements forgets statements, because there are more of them than it has room for."""

from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _dormant
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, NumberParams, Rule, RuleDoc
from pgvigil.trends import Increase, increase
from pgvigil.units import format_duration

_WINDOW_S = 3600.0
_LEAST_S = 600.0
_MAX = "pg_stat_statements.max"


class StatementEvictionsParams(NumberParams):
    info: float = Field(1.0, ge=0, description="Evictions in an hour.")
    warning: float | None = Field(None, description="Evictions in an hour.")
    critical: float | None = Field(None, description="Evictions in an hour.")
    clear: float | None = Field(None, description="Evictions in an hour; at or below it has recovered.")


def evaluate(
    _reading: Snapshot[Any] | Delta[Any], params: StatementEvictionsParams, context: Context
) -> Judgement:
    grown = increase(context.history("evictions"), _WINDOW_S)
    if grown is None or grown.elapsed_s < _LEAST_S:
        return Judgement((), NOTHING)
    per_h = grown.per_s * 3600
    level = grade(per_h, params)
    if level in {None, Level.HOLD} and per_h >= params.info:
        level = Level.INFO
    if level is None:
        return Judgement((), Scope())
    return Judgement((_finding(grown, per_h, level, context),), Scope())


def _finding(grown: Increase, per_h: float, level: Level, context: Context) -> Finding:
    most = context.facts.settings.get(_MAX, "") if context.facts is not None else ""
    room = f" of {_MAX} = {int(most):,}" if most.isdigit() else ""
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="statement evictions",
        level=level,
        summary=f"pg_stat_statements evicts its least used entries {per_h:.1f} times an hour{room}",
        value=per_h,
        evidence=Evidence(
            impact="Each time 5 % of the entries are forgotten: statements that run now and then have no history, and what"
            " they cost is missing from every sum.",
            figures=(
                Figure("Evictions", f"{grown.value:,.0f} in {format_duration(grown.elapsed_s)}"),
                *((Figure(_MAX, f"{int(most):,}"),) if most.isdigit() else ()),
            ),
            cause="Statements that differ in more than their constants: lists of changing length, names of temporary tables,"
            " a schema for each tenant, comments made by the client; or simply many of them.",
        ),
        steps=_STEPS,
    )


_STEPS = (
    Step(
        "See which texts there are many of.",
        "SELECT left(query, 40) AS starts, count(*) FROM pg_stat_statements GROUP BY 1 ORDER BY 2 DESC LIMIT 20",
    ),
    Step(
        "Have the clients write them so that they are one: = ANY($1) instead of IN lists, no changing comments."
    ),
    Step(
        "Or make room; it takes effect at the next restart, and costs some shared memory.",
        "ALTER SYSTEM SET pg_stat_statements.max = 10000",
    ),
)

RULE = Rule(
    name="statement_evictions",
    unit="evictions/h",
    watches=("statements",),
    params=StatementEvictionsParams,
    evaluate=evaluate,
    dormant=_dormant.no_evictions,
    doc=RuleDoc(
        meaning="pg_stat_statements has room for pg_stat_statements.max entries. When that is full it forgets the twentieth"
        " part that was used least. The counter that tells of it is there from PostgreSQL 14 on; before, nothing is told.",
        magnitude="evictions in an hour, over the last hour",
        why_these_defaults="Once an hour means that a statement which runs every hour or so is forgotten between two runs"
        " (pg_stat_statements.c, entry_dealloc: 5 % each time). Info: what suffers are the statistics, not the server."
        " The set-up problem pg-stat-statements-max-small says which size would do.",
        evidence="How often it evicted in what time, and how much room it has.",
        what_to_do="Find the texts that multiply, have them written with parameters, or raise pg_stat_statements.max.",
        how_to_look="SELECT dealloc, stats_reset FROM pg_stat_statements_info",
    ),
)
