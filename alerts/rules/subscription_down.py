"""A subscription of logical replication that does not receive."""

from datetime import timedelta
from typing import Any

from pydantic import Field

from alerts.rules import _dormant
from alerts.rules._subscriptions import LOOK, entity, figures, shown, subject, unreadable, unready_block
from collectors.subscriptions import Subscription, SubscriptionsReading
from pgvigil.model.evidence import Evidence, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.units import DurationS, format_duration


class SubscriptionDownParams(SeverityParams):
    for_s: DurationS = Field(300.0, alias="for", description="How long it must hold before it fires.")
    severity: str = Field(
        "critical", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    silent_s: DurationS = Field(
        300.0,
        alias="silent",
        description="A worker that heard nothing from the publisher for this long is none.",
    )
    within_s: DurationS = Field(
        86400.0, alias="within", description="How long one that was switched off counts as just switched off."
    )


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: SubscriptionDownParams, context: Context
) -> Judgement:
    rows: SubscriptionsReading = reading.rows
    database = reading.database if isinstance(reading, Snapshot) else None
    if rows.unreadable:
        return Judgement((), unreadable(database))
    found = (_found(each, rows, database, params, context) for each in rows.subscriptions)
    scope = Scope(databases=None if database is None else frozenset({database}))
    return Judgement(tuple(finding for finding in found if finding is not None), scope)


def _found(
    row: Subscription,
    rows: SubscriptionsReading,
    database: str | None,
    params: SubscriptionDownParams,
    context: Context,
) -> Finding | None:
    if context.facts is not None and context.facts.in_recovery:
        return None  # a standby only has the copy of the catalogue
    told = _trouble(row, params, context)
    if told is None:
        return None
    level, why, cause = told
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=database,
        subject=subject(row),
        level=level,
        summary=f"Subscription {shown(row)} {why}",
        evidence=Evidence(
            impact="Nothing that the publisher commits arrives here, and its slot holds back log there until this goes on.",
            figures=figures(row),
            blocks=unready_block(row, rows),
            cause=cause,
        ),
        steps=_steps(row),
        about=frozenset({entity(row)}),
        explains=frozenset({entity(row)}),
    )


def _trouble(
    row: Subscription, params: SubscriptionDownParams, context: Context
) -> tuple[Level, str, str] | None:
    if not row.enabled:
        return _disabled(row, params, context)
    if row.pid is None:
        return (
            params.level,
            "is enabled and has no worker",
            (
                "The publisher is down or refuses the connection, its slot is gone, or no worker is free"
                " (max_logical_replication_workers, max_worker_processes). The server's log says which."
            ),
        )
    if row.message_age_s is not None and row.message_age_s >= params.silent_s:
        return (
            params.level,
            f"has heard nothing for {format_duration(row.message_age_s)}",
            "The connection is dead, or the worker is busy with one long transaction or waits for a lock.",
        )
    return None


def _disabled(row: Subscription, params: SubscriptionDownParams, context: Context) -> tuple[Level, str, str]:
    if row.disable_on_error and row.errors:
        return (
            params.level,
            "was switched off by an error",
            "It has disable_on_error: an error while applying switched it off. The server's log has it.",
        )
    since = context.now - timedelta(seconds=params.within_s)
    lately = any(
        change.key == row.name and change.new == "disabled" and change.old is not None and change.at >= since
        for change in context.changes
    )
    level = Level.WARNING if lately else Level.INFO
    return min(params.level, level), "is switched off", "Somebody ran ALTER SUBSCRIPTION ... DISABLE."


def _steps(row: Subscription) -> tuple[Step, ...]:
    name = quote_identifier(row.name)
    look = Step("See its workers.", LOOK)
    if row.enabled:
        return (
            look,
            Step("Read this server's log for the worker's last words."),
            Step(
                "On the publisher: see whether its slot is there, free and not lost.",
                "SELECT slot_name, active, active_pid, wal_status FROM pg_replication_slots WHERE slot_type = 'logical'",
            ),
        )
    return (
        look,
        Step("When what stopped it is mended: switch it on.", f"ALTER SUBSCRIPTION {name} ENABLE"),
        Step(
            "If nobody needs it: drop it, and with it the slot on the publisher.", f"DROP SUBSCRIPTION {name}"
        ),
    )


RULE = Rule(
    name="subscription_down",
    watches=("subscriptions",),
    params=SubscriptionDownParams,
    evaluate=evaluate,
    dormant=_dormant.no_subscription,
    absorbs=frozenset({"subscription_errors"}),
    doc=RuleDoc(
        meaning="A subscription does not receive: it is enabled and has no apply worker, its worker heard nothing for long, or"
        " it is switched off. The copy here gets old, and the publisher keeps all log for it.",
        magnitude="",
        why_these_defaults="Five minutes pass over a restart of the publisher (workers try again every 5 s,"
        " wal_retrieve_retry_interval). Critical, as with pgEdge: it does not mend itself, and the publisher's volume fills."
        " A publisher says something at least every 30 s, so five minutes of silence are no pause. Switched off by an error"
        " (disable_on_error) is critical as well; switched off by a person is a warning for a day and then info.",
        evidence="Its database, worker, slot, counted errors and conflicts, and the tables whose first copy is not done.",
        what_to_do="Read the subscriber's log. No worker: look at the publisher, its slot, and max_logical_replication_workers."
        " Switched off: mend what stopped it, then ENABLE; or drop it, so that its slot goes.",
        how_to_look=LOOK,
    ),
)
