"""A subscription of logical replication that fails over and over."""

from typing import Any

from pydantic import Field

from alerts.grading import grade
from alerts.rules import _dormant
from alerts.rules._subscriptions import LOOK, entity, figures, shown, subject, unreadable, unready_block
from collectors.subscriptions import Subscription, SubscriptionsReading
from pgvigil.model.evidence import Evidence, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, NumberParams, Rule, RuleDoc
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.trends import increase, recent
from pgvigil.units import DurationS, format_duration


class SubscriptionErrorsParams(NumberParams):
    keep_firing_for_s: DurationS = Field(
        300.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: float | None = Field(3.0, description="Errors within the window.")
    critical: float | None = Field(None, description="Errors within the window.")
    clear: float | None = Field(0.0, description="At or below this number it has recovered.")
    window_s: DurationS = Field(600.0, alias="window", description="Over how long errors are counted.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: SubscriptionErrorsParams, context: Context
) -> Judgement:
    rows: SubscriptionsReading = reading.rows
    database = reading.database if isinstance(reading, Snapshot) else None
    if rows.unreadable:
        return Judgement((), unreadable(database))
    found = (_found(each, rows, database, params, context) for each in rows.subscriptions if each.enabled)
    scope = Scope(databases=None if database is None else frozenset({database}))
    return Judgement(tuple(finding for finding in found if finding is not None), scope)


def _found(
    row: Subscription,
    rows: SubscriptionsReading,
    database: str | None,
    params: SubscriptionErrorsParams,
    context: Context,
) -> Finding | None:
    failed, what, elapsed_s = _failed(row, params, context)
    level = grade(failed, params)
    if level is None:
        return None
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=subject(row),
        level=level,
        summary=f"Subscription {shown(row)} {what} in {format_duration(elapsed_s)}{_held(level)}",
        value=failed,
        evidence=Evidence(
            impact="It tries the same transaction again and again, and nothing after it arrives; the publisher keeps the log.",
            figures=figures(row),
            blocks=unready_block(row, rows),
            cause="A row that is already here, or not here, or a table or column that is missing; or the publisher fails. The"
            " log of this server has the error, with the transaction's end as an LSN.",
        ),
        steps=_steps(row),
        about=frozenset({entity(row)}),
    )


def _failed(
    row: Subscription, params: SubscriptionErrorsParams, context: Context
) -> tuple[float, str, float]:
    """How often it failed, in words, and over how long. A server that counts no errors shows new workers."""
    if row.errors is None:
        points = recent(context.history("worker", row.name), params.window_s)
        starts = float(max(0, len({point.value for point in points}) - 1))
        span_s = (points[-1].at - points[0].at).total_seconds() if points else 0.0
        return starts, f"began anew {starts:.0f} times or more", span_s
    grown = increase(context.history("errors", row.name), params.window_s)
    if grown is None:
        return 0.0, "", 0.0
    return grown.value, f"failed {grown.value:.0f} times", grown.elapsed_s


def _held(level: Level) -> str:
    return "; it seems to have got on" if level is Level.HOLD else ""


def _steps(row: Subscription) -> tuple[Step, ...]:
    name = quote_identifier(row.name)
    return (
        Step("Read this server's log: the error, the row, and the LSN at which the transaction ends."),
        Step("See its workers.", LOOK),
        Step(
            "Mend the row, the table or the column here; it goes on by itself. A duplicate key: remove or change the row"
            " here that is in the way."
        ),
        Step(
            f"Only if that transaction may be lost (15+): skip it whole, with ALTER SUBSCRIPTION {name} SKIP (lsn = ...) and"
            " the LSN of the log."
        ),
        Step("Or stop trying for now; the publisher keeps the log.", f"ALTER SUBSCRIPTION {name} DISABLE"),
    )


RULE = Rule(
    name="subscription_errors",
    unit="errors",
    watches=("subscriptions",),
    params=SubscriptionErrorsParams,
    evaluate=evaluate,
    dormant=_dormant.no_subscription_errors,
    doc=RuleDoc(
        meaning="The workers of a subscription fail again and again: a transaction cannot be applied, or a table not be"
        " copied. Until somebody mends it nothing more arrives, and the publisher keeps the log. Before PostgreSQL 15"
        " errors are not counted: there new worker processes are.",
        magnitude="errors of its workers within the window",
        why_these_defaults="A restart of the publisher is one error or two; a conflict is one every five seconds"
        " (wal_retrieve_retry_interval), 120 in ten minutes. So three are a fault that does not mend itself. A warning:"
        " one transaction is stuck; slot_retention on the publisher pages when log runs out of room.",
        evidence="Errors while applying and while copying, conflicts (18+), its worker and slot, and unfinished tables.",
        what_to_do="Read the subscriber's log for the error and the row. Mend the data or the structure here; skip the"
        " transaction only if it may be lost.",
        how_to_look="SELECT * FROM pg_stat_subscription_stats",
    ),
)
