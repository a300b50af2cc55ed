"""A transaction that has been open for very long, whatever its session does."""

from typing import Any

from pydantic import Field

from alerts.rules import _sessions
from alerts.rules._sessions import SessionParams, SessionTrouble
from collectors.activity import Session
from pgvigil.model.evidence import Step
from pgvigil.model.finding import Judgement
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc
from pgvigil.units import DurationS, format_duration


class LongTransactionParams(SessionParams):
    warning: DurationS | None = Field(1800.0, description="Age of the transaction.")
    critical: DurationS | None = Field(7200.0, description="Age of the transaction.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: LongTransactionParams, context: Context
) -> Judgement:
    return _sessions.judge(RULE.name, reading.rows, params, context, _age_s, _describe)


def _age_s(session: Session) -> float | None:
    return session.xact_age_s


def _describe(session: Session, age_s: float) -> SessionTrouble:
    age = format_duration(age_s)
    return SessionTrouble(
        summary=f"A transaction has been open for {age}: {_sessions.who(session)}",
        impact=f"One transaction has been open for {age}; {_cost(session)}.",
        cause=_cause(session),
        query_title="Last statement",
        steps=_steps(session),
    )


def _cost(session: Session) -> str:
    if session.xmin_age:
        return f"dead rows of the last {session.xmin_age:,} transactions cannot be removed anywhere"
    return "the locks it took stay held"


def _cause(session: Session) -> str:
    if session.application.startswith("pg_dump"):
        return (
            "A dump reads everything under one snapshot; a physical backup or a standby would not hold one."
        )
    if session.state == "active":
        return "A long statement, or a batch that does too much in one transaction."
    return "The client keeps a transaction open between its statements."


def _steps(session: Session) -> tuple[Step, ...]:
    pid, started = session.pid, session.backend_start
    return (
        _sessions.look_step(pid, started),
        Step("Ask the application's owner whether the batch can commit in smaller parts."),
        _sessions.terminate_step(
            pid, started, "If its work may be lost, end the connection; its transaction rolls back."
        ),
    )


RULE = Rule(
    name="long_transaction",
    watches=("activity",),
    params=LongTransactionParams,
    evaluate=evaluate,
    absorbs=frozenset({"xmin_horizon_held"}),
    doc=RuleDoc(
        meaning="A client's transaction has been open for a long time. While its snapshot lives, vacuum can"
        " remove no row that died since, in any table of the database, and its locks stay held.",
        magnitude="age of the transaction, a duration",
        why_these_defaults="After half an hour the tables with many updates show the dead rows; after two hours"
        " they bloat, and the next vacuum has much to do. A dump is not exempt, because its snapshot holds back"
        " vacuum as much as any other: put pg_dump into ignore_applications where its window is accepted."
        " A transaction that idles or runs one long statement is reported by idle_in_transaction or"
        " long_running_query, and this finding becomes evidence there.",
        evidence="Who it is, its last statement with literals redacted, the age of the transaction, and how"
        " many transactions vacuum must keep for it.",
        what_to_do="Find out whether it still works. Let batches commit in parts; set"
        " idle_in_transaction_session_timeout, and transaction_timeout from PostgreSQL 17 on, for the role.",
        how_to_look="""\
SELECT pid, usename, application_name, state, now() - xact_start AS open_for, age(backend_xmin) AS xmin_age, query
FROM pg_stat_activity
WHERE xact_start IS NOT NULL AND backend_type = 'client backend'
ORDER BY xact_start
LIMIT 10""",
    ),
)
