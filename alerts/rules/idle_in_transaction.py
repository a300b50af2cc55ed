"""A session that holds a transaction open and does nothing."""

from typing import Any

from pydantic import Field

from alerts.rules import _dormant, _sessions
from alerts.rules._sessions import SessionParams, SessionTrouble
from collectors.activity import Session
from pgvigil.model.evidence import Step
from pgvigil.model.finding import Judgement
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc
from pgvigil.sql.identifiers import quote_identifier
from pgvigil.units import DurationS, format_duration


class IdleInTransactionParams(SessionParams):
    warning: DurationS | None = Field(300.0, description="Time in the state.")
    critical: DurationS | None = Field(1800.0, description="Time in the state.")


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: IdleInTransactionParams, context: Context
) -> Judgement:
    return _sessions.judge(RULE.name, reading.rows, params, context, _age_s, _describe)


def _age_s(session: Session) -> float | None:
    return session.state_age_s if session.idle_in_transaction else None


def _describe(session: Session, age_s: float) -> SessionTrouble:
    age = format_duration(age_s)
    held = "its locks stay held" if session.xid_age is None else "what it wrote and locked stays locked"
    return SessionTrouble(
        summary=f"Idle in transaction for {age}: {_sessions.who(session)}",
        impact=f"A transaction has been open and idle for {age}; {held}.",
        cause=_cause(session),
        query_title="Last statement",
        steps=_steps(session),
    )


def _cause(session: Session) -> str:
    if session.state.endswith("(aborted)"):
        return "A statement failed and the client never rolled back: an error path without ROLLBACK."
    return (
        "The client opened a transaction and waits for something else: a slow call, a person, a dead worker."
    )


def _steps(session: Session) -> tuple[Step, ...]:
    pid, started = session.pid, session.backend_start
    limit = (
        f"ALTER ROLE {quote_identifier(session.user_name)} SET idle_in_transaction_session_timeout = '5min'"
    )
    return (
        _sessions.look_step(pid, started),
        Step("Ask the application's owner whether its work may be lost; cancelling has no effect here."),
        _sessions.terminate_step(pid, started, "End the connection; its transaction rolls back."),
        Step("To prevent the next one, give the role a limit (new connections take it).", limit),
    )


RULE = Rule(
    name="idle_in_transaction",
    watches=("activity",),
    params=IdleInTransactionParams,
    evaluate=evaluate,
    dormant=_dormant.no_activities,
    absorbs=frozenset({"long_transaction"}),
    doc=RuleDoc(
        meaning="A session has an open transaction and has sent nothing for minutes. Its locks stay held, so"
        " one such session can stop a table; its snapshot can hold back vacuum for the whole server.",
        magnitude="time since the session became idle in transaction (state_change), a duration",
        why_these_defaults="An application needs milliseconds between the statements of a transaction. Five"
        " minutes is never intended; half an hour means that nobody is coming back. Measured from state_change,"
        " not from the start of the transaction: a long batch that works all the time is not idle.",
        evidence="Who it is and where it comes from, its last statement with literals redacted, the age of its"
        " transaction, whether it has written, and how far it holds back vacuum.",
        what_to_do="Find the owner by application, user and client address. Ending the connection rolls its"
        " transaction back. idle_in_transaction_session_timeout for the role prevents the next one.",
        how_to_look="""\
SELECT pid, usename, application_name, client_addr, now() - state_change AS idle_for, now() - xact_start AS open_for, query
FROM pg_stat_activity
WHERE state LIKE 'idle in transaction%'
ORDER BY state_change""",
    ),
)
