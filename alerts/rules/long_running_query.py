"""A statement that has been running for very long."""

from typing import Any

from pydantic import Field

from alerts.rules import _dormant, _sessions
from alerts.rules._sessions import SessionParams, SessionTrouble
from collectors.activity import Session
from pgvigil.model.evidence import Step
from pgvigil.model.finding import Judgement
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc
from pgvigil.units import DurationS, format_duration


class LongRunningQueryParams(SessionParams):
    warning: DurationS | None = Field(1800.0, description="Age of the statement.")
    critical: DurationS | None = Field(3600.0, description="Age of the statement.")
    ignore_applications: tuple[str, ...] = Field(
        ("pg_dump", "pg_dumpall", "pg_restore"),
        description="Values of application_name whose statements may take as long as they like.",
    )


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: LongRunningQueryParams, context: Context
) -> Judgement:
    return _sessions.judge(RULE.name, reading.rows, params, context, _age_s, _describe)


def _age_s(session: Session) -> float | None:
    return session.query_age_s if session.state == "active" else None


def _describe(session: Session, age_s: float) -> SessionTrouble:
    age = format_duration(age_s)
    return SessionTrouble(
        summary=f"A statement has been running for {age}: {_sessions.who(session)}",
        impact=f"One statement has been active for {age}; its locks and its snapshot are held for as long.",
        cause=_cause(session),
        query_title="Statement",
        steps=_steps(session),
    )


def _cause(session: Session) -> str:
    if session.wait_event_type == "Lock":
        return "It waits for a lock now; blocking_chain tells who holds it."
    if session.wait_event_type == "Client":
        return "It waits for its client, which reads or sends its data slowly."
    return "A large report or maintenance command, a plan that went wrong, or a missing index."


def _steps(session: Session) -> tuple[Step, ...]:
    pid, started = session.pid, session.backend_start
    return (
        _sessions.look_step(pid, started),
        _sessions.cancel_step(
            pid, started, "If nobody needs the result, cancel the statement; the connection survives."
        ),
        _sessions.terminate_step(
            pid, started, "Only if cancelling has no effect: end the connection; its transaction rolls back."
        ),
    )


RULE = Rule(
    name="long_running_query",
    watches=("activity",),
    params=LongRunningQueryParams,
    evaluate=evaluate,
    dormant=_dormant.no_activities,
    absorbs=frozenset({"long_transaction"}),
    doc=RuleDoc(
        meaning="A client's statement has been active for longer than statements should take.",
        magnitude="age of the running statement, a duration",
        why_these_defaults="Half an hour is beyond any request that a person or a service waits for, so what"
        " remains is a report, maintenance or a mistake; an hour is longer than most report windows. There"
        " is no clear: a statement only gets older, and it is gone when it ends. Sessions of pgvigil itself,"
        " walsenders, autovacuum and background workers are not judged. Dumps and restores by the standard"
        " tools are expected to run long and are ignored here; long_transaction still sees their snapshot.",
        evidence="The statement with its literals redacted, who runs it from where, what it waits for, how old"
        " its transaction is, and how far it holds back vacuum.",
        what_to_do="Look at what it does, ask its owner, cancel the statement if nobody needs the result. A"
        " statement_timeout for the role prevents the next one.",
        how_to_look="""\
SELECT pid, usename, application_name, now() - query_start AS running_for, wait_event_type, wait_event, query
FROM pg_stat_activity
WHERE state = 'active' AND backend_type = 'client backend'
ORDER BY query_start
LIMIT 10""",
    ),
)
