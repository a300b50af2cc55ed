"""A statement that takes long on average, and costs the server a good part of its time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from alerts.grading import grade
from alerts.rules import _dormant, _statements
from alerts.rules._statements import Usage
from alerts.rules._together import SLOW_DOWN
from pgvigil.model.evidence import Evidence
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope, query_key
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, DurationParams, Rule, RuleDoc
from pgvigil.sql.statement import is_own
from pgvigil.statements import StatementChanges, keys
from pgvigil.units import DurationS, Percent, format_duration

_MOST = 100  # findings of one reading: those that cost most
_DISCARDED = "its counters were discarded, its database is not known, or too many others cost more"
_HIDDEN = "the role may not see every statement: grant it pg_monitor"


class SlowQueryParams(DurationParams):
    for_s: DurationS = Field(120.0, alias="for", description="How long it must hold before it fires.")
    keep_firing_for_s: DurationS = Field(
        300.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: DurationS | None = Field(0.5, description="Mean time of a call.")
    critical: DurationS | None = Field(5.0, description="Mean time of a call.")
    clear: DurationS | None = Field(0.25, description="At or below this mean it has recovered.")
    min_calls: int = Field(5, ge=1, description="Fewer calls in an interval open no incident.")
    min_share: Percent = Field(
        5.0, description="A smaller share of the server's execution time in the interval opens no incident."
    )


def evaluate(reading: Snapshot[Any] | Delta[Any], params: SlowQueryParams, context: Context) -> Judgement:
    if not isinstance(reading, Delta):
        return Judgement((), NOTHING)
    if reading.unknown is not None or reading.elapsed_s <= 0:
        reason = reading.unknown or "no time has passed since the last reading"
        return Judgement((), Scope(databases=frozenset(), reason=reason))
    changes: StatementChanges = reading.rows
    slow = _slow(changes, params)
    judged, left_out = slow[:_MOST], slow[_MOST:]
    found, unnamed = [], set()
    for usage in _statements.usages(reading, judged):
        database = context.database_names.get(usage.key.dbid)
        if database is None:
            unnamed.add(usage.key.subject)
        elif finding := _finding(usage, database, reading, params, context):
            found.append(finding)
    return Judgement(tuple(found), _scope(changes, unnamed | _subjects(reading, left_out)))


def _slow(changes: StatementChanges, params: SlowQueryParams) -> NDArray[np.int64]:
    """Where the statements stand whose mean is worth a look, those that cost most first."""
    limits = [limit for limit in (params.clear, params.warning, params.critical) if limit is not None]
    if not limits:
        return np.empty(0, np.int64)
    exec_ms = changes.ran["exec_ms"]
    slow = np.flatnonzero(exec_ms >= 1000 * limits[0] * changes.ran["calls"])
    return slow[np.argsort(-exec_ms[slow], kind="stable")]


def _subjects(reading: Delta[StatementChanges], where: NDArray[np.int64]) -> set[str]:
    return {usage.key.subject for usage in _statements.usages(reading, where)}


def _scope(changes: StatementChanges, unjudged: set[str]) -> Scope:
    """A statement that did not run is not slow now: it is covered. One that cannot be told is not."""
    not_covered = frozenset(key.subject for key in keys(changes.uncovered)) | unjudged
    if changes.hidden:  # whatever is not seen may be among them
        visible = frozenset(key.subject for key in keys(changes.present))
        return Scope(only=visible, not_covered=not_covered, reason=_HIDDEN)
    return Scope(not_covered=not_covered, reason=_DISCARDED if not_covered else "")


def _finding(
    usage: Usage, database: str, reading: Delta[StatementChanges], params: SlowQueryParams, context: Context
) -> Finding | None:
    level = grade(usage.mean_s, params)
    text = context.text(usage.key.dbid, usage.key.userid, usage.key.queryid) if level is not None else None
    if level is None or (text is not None and is_own(text)):
        return None
    if usage.calls < params.min_calls or usage.share_percent < params.min_share:
        # The gates are for opening: a statement that fires is not well again because it was called less.
        level = Level.HOLD
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=usage.key.subject,
        level=level,
        summary=_summary(usage, text),
        value=usage.mean_s,
        evidence=Evidence(
            impact=_impact(usage),
            figures=_statements.figures(usage, context.facts),
            blocks=(_statements.text_block(text),),
            cause=_statements.likely_cause(usage, context.facts),
            share_percent=usage.share_percent,
        ),
        steps=_statements.steps(usage, text, database, context.facts),
        about=frozenset({query_key(usage.key.queryid)}),
        measured_from=reading.since,
    )


def _summary(usage: Usage, text: str | None) -> str:
    share = f"{usage.share_percent:.0f} % of the server's time"
    return f"{format_duration(usage.mean_s)} a call, {share}: {_statements.named(text, usage.key.queryid)}"


def _impact(usage: Usage) -> str:
    calls = "1 call" if usage.calls == 1 else f"{usage.calls:,} calls"
    return (
        f"{calls} in {format_duration(usage.elapsed_s)} took {format_duration(usage.exec_ms / 1000)} together:"
        f" on average {usage.busy_sessions:.1f} sessions were busy with it."
    )


RULE = Rule(
    name="slow_query",
    watches=("statements",),
    params=SlowQueryParams,
    evaluate=evaluate,
    dormant=_dormant.no_statements,
    together=SLOW_DOWN,
    doc=RuleDoc(
        meaning="Calls of one statement take long on average over an interval, often enough and with enough of"
        " the server's execution time to matter. Waiting for locks counts as execution time.",
        magnitude="mean execution time of a call in the interval, a duration",
        why_these_defaults="People notice half a second, and give up after five. Five calls and five percent of"
        " the server's time keep rare reports and small servers' oddities out; they count for opening only. Two"
        " minutes pass over a cold cache or a burst; clear at a quarter of a second and five minutes to resolve"
        " keep one incident through a load that comes and goes.",
        evidence="Mean time, calls, share of the server's time, rows, blocks, temporary blocks and WAL of a"
        " call, the statement without its literals, and what the figures speak for.",
        what_to_do="See what the sessions that run it wait for, then its plan. A statement that goes through many"
        " blocks wants an index or fresh statistics; one that touches few waits for something else. A report"
        " that may take long is given an override, or its role is silenced.",
        how_to_look="""\
SELECT queryid, calls, mean_exec_time, total_exec_time, rows, left(query, 100) AS query
FROM pg_stat_statements
ORDER BY total_exec_time DESC
LIMIT 20""",
    ),
)
