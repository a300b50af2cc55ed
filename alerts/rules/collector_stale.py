"""pgvigil itself sees too little: a collector has not succeeded for several of its intervals."""

from typing import Any

from pydantic import Field

from alerts.grading import grade
from pgvigil.model.availability import Freshness
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, NumberParams, Rule, RuleDoc
from pgvigil.sql.grants import grant_after
from pgvigil.text import one_line
from pgvigil.units import format_duration


class CollectorStaleParams(NumberParams):
    warning: float | None = Field(3.0, ge=1, description="Intervals since the last success.")
    critical: float | None = Field(10.0, ge=1, description="Intervals since the last success.")
    clear: float | None = Field(1.0, ge=1, description="At or below this many intervals it has recovered.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: CollectorStaleParams, context: Context
) -> Judgement:
    rows: tuple[Freshness, ...] = reading.rows
    judged = ((row, grade(row.missed, params)) for row in rows)
    found = tuple(_finding(row, level, context) for row, level in judged if level is not None)
    return Judgement(found, Scope())


def _finding(row: Freshness, level: Level, context: Context) -> Finding:
    where = "" if row.database is None else f" in database {one_line(row.database, 60)}"
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=row.database,
        subject=f"collector {row.collector}",
        level=level,
        summary=f"Collector {row.collector}{where} has not succeeded for {row.missed:.0f} intervals",
        value=row.missed,
        evidence=Evidence(
            impact=f"What {row.collector} watches{where} is not watched now; incidents that depend on it are"
            " unknown, not well.",
            figures=_figures(row),
            cause=_cause(row.failure),
        ),
        steps=_steps(row.failure, context),
    )


def _figures(row: Freshness) -> tuple[Figure, ...]:
    last = "never" if row.last_success_at is None else f"{row.last_success_at:%Y-%m-%d %H:%M:%SZ}"
    failure = row.failure
    told = (
        ()
        if failure is None
        else (Figure("Failure", failure.kind.value), Figure("Error", one_line(failure.message, 300)))
    )
    return (
        Figure("Interval", format_duration(row.interval_s)),
        Figure("Last success", last),
        Figure("Intervals missed", f"{row.missed:.1f}"),
        *told,
    )


def _cause(failure: Failure | None) -> str:
    if failure is None:
        return "It was not run: the target's lane is busy with something else, or pgvigil is overloaded."
    return _CAUSES.get(failure.kind, "The last attempt failed; the error is above.")


_CAUSES = {
    FailureKind.TIMEOUT: "Its query takes longer than its limit: the server is very busy or the view very large.",
    FailureKind.LOCK_TIMEOUT: "Something holds a lock on what it reads; it gives up rather than queue behind DDL.",
    FailureKind.PRIVILEGE: "The role lacks a privilege that this collector needs.",
    FailureKind.UNDEFINED: "The server lacks a column or function that it should have: an upgrade that is half done?",
    FailureKind.MISSING: "An extension that it needs is not installed in this database.",
    FailureKind.TOO_MANY_CONNECTIONS: "No connection slot is left for pgvigil.",
    FailureKind.RESOURCES: "pgvigil's own process is out of file descriptors, threads or memory; the server may be"
    " well.",
    FailureKind.BUG: "pgvigil's own code failed; its log has the traceback.",
}


def _steps(failure: Failure | None, context: Context) -> tuple[Step, ...]:
    if failure is not None and failure.kind is FailureKind.PRIVILEGE:
        facts = context.facts
        role = "pgvigil" if facts is None else facts.role
        schemas = None if facts is None else {name: schema for name, (schema, _) in facts.extensions.items()}
        return (
            Step("Grant the role what the error names.", grant_after(failure.message, role, schemas)),
            Step("`pgvigil grants` prints the least that pgvigil needs."),
        )
    if failure is not None and failure.kind is FailureKind.MISSING:
        return (Step("CREATE EXTENSION for what the error names, in one database that pgvigil watches."),)
    if failure is not None and failure.kind is FailureKind.RESOURCES:
        return (
            Step(
                "Raise the limit that the error names for the service: LimitNOFILE=, TasksMax=, MemoryMax=."
            ),
        )
    return (
        Step(
            "pgvigil's /api/v1/targets shows every collector of the target, with its last success and failure."
        ),
        Step("If the server is merely busy, a longer interval for this collector gives it room."),
    )


RULE = Rule(
    name="collector_stale",
    unit="intervals",
    watches=("freshness",),
    params=CollectorStaleParams,
    evaluate=evaluate,
    doc=RuleDoc(
        meaning="A collector has not read anything for several of its intervals, so what it watches is unknown."
        " Silence from a monitor that cannot see is the worst answer; this rule breaks it.",
        magnitude="intervals since the collector's last success (or since the target was first due), a number",
        why_these_defaults="One missed interval is a busy moment, three are a pattern, ten mean that nobody has"
        " watched for a long time. One success brings it to at most one interval, which clears it.",
        evidence="The collector and its database, its interval, the last success, and the class and text of the"
        " last failure.",
        what_to_do="A privilege or an extension that is missing is a matter of set-up: the message and the page"
        " name the fix. A time-out is a matter of load: look at the server's other incidents first.",
        how_to_look="""\
SELECT pid, state, wait_event_type, wait_event, now() - query_start AS running_for, query
FROM pg_stat_activity
WHERE application_name LIKE 'pgvigil%'""",
    ),
)
