"""What the rules about sessions share: how a session is named, shown, and safely ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from alerts.grading import duration_figure, grade
from collectors.activity import ActivityReading, Session
from collectors.lock_waits import WaitSession
from pgvigil.model.evidence import Block, BlockKind, Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.plugins import Context, DurationParams
from pgvigil.sql.identifiers import quote_text
from pgvigil.sql.redact import redact
from pgvigil.text import one_line

HORIZON = "xmin horizon"  # entity: what vacuum cannot remove anywhere because of somebody's old snapshot
NOTABLE_XIDS = 1_000_000  # transaction ids that a snapshot holds back before that explains anything

_SHOWN_QUERY = 700


class SessionParams(DurationParams):
    ignore_applications: tuple[str, ...] = Field(
        (), description="Values of application_name that are not judged."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTrouble:
    """What a rule says about one session; the rest of the finding is the same for all such rules."""

    summary: str
    impact: str
    cause: str
    query_title: str
    steps: tuple[Step, ...]


def judge(
    rule: str,
    activity: ActivityReading,
    params: SessionParams,
    context: Context,
    age_s: Callable[[Session], float | None],
    describe: Callable[[Session, float], SessionTrouble],
) -> Judgement:
    """Grades the age of each client's session; `age_s` is None for a session that the rule does not judge.

    pgvigil's own sessions, walsenders, autovacuum, workers and ignored applications are never judged.
    """
    found = []
    for session in activity.sessions:
        ignored = session.own or session.application in params.ignore_applications
        age = age_s(session) if session.client_backend and not ignored else None
        level = None if age is None else grade(age, params)
        if age is not None and level is not None:
            found.append(_finding(rule, session, age, level, describe(session, age), context))
    return Judgement(tuple(found), _scope(activity))


def _finding(
    rule: str, session: Session, age_s: float, level: Level, trouble: SessionTrouble, context: Context
) -> Finding:
    return Finding(
        rule=rule,
        target=context.target,
        database=session.database,
        subject=session.key,
        level=level,
        summary=trouble.summary,
        value=age_s,
        evidence=Evidence(
            impact=trouble.impact,
            figures=_figures(session),
            blocks=(query_block(trouble.query_title, session.query),),
            cause=trouble.cause,
            notes=_vacuum_note(session),
        ),
        steps=trouble.steps,
        about=frozenset({session.key}),
        explains=frozenset({session.key, *_holds_back(session)}),
    )


def horizon_of(database: str) -> str:
    """The entity of what vacuum cannot remove in one database."""
    return f"{HORIZON} of {database}"


def _holds_back(session: Session) -> tuple[str, ...]:
    return (horizon_of(session.database),) if (session.xmin_age or 0) >= NOTABLE_XIDS else ()


def who(session: Session | WaitSession) -> str:
    """`pid 8123 (billing, user ci)`: how a summary names a session."""
    application = one_line(session.application, 40)
    user = f"user {one_line(session.user_name, 40)}"
    return f"pid {session.pid} ({application + ', ' if application else ''}{user})"


def _figures(session: Session) -> tuple[Figure, ...]:
    """Who and where the session is, and its three ages."""
    waits = f"{session.wait_event_type}: {session.wait_event}" if session.wait_event_type else "nothing"
    return (
        Figure("Session", f"pid {session.pid}, connected {session.backend_start:%Y-%m-%d %H:%M:%SZ}"),
        Figure("Application", one_line(session.application) or "(not named)"),
        Figure("User", one_line(session.user_name)),
        Figure("Client", one_line(session.client)),
        Figure("State", session.state),
        duration_figure("In this state for", session.state_age_s),
        duration_figure("Transaction age", session.xact_age_s),
        Figure("Waits for", waits),
    )


def query_block(title: str, query: str) -> Block:
    """The statement with its literals redacted, cut to what a message can carry."""
    return Block(BlockKind.SQL, title, redact(query, _SHOWN_QUERY))


def _vacuum_note(session: Session) -> tuple[str, ...]:
    """What the session's snapshot costs everybody else, where it costs something."""
    if session.xmin_age is None or session.xmin_age < 1:
        return ()
    return (f"Its snapshot holds back vacuum by {session.xmin_age:,} transactions.",)


def look_step(pid: int, backend_start: datetime) -> Step:
    """Read-only: what the session does now, if it is still the same one."""
    return Step(
        "See what it does now.",
        "SELECT pid, state, xact_start, wait_event_type, wait_event, query FROM pg_stat_activity"
        f" WHERE {_same_session(pid, backend_start)}",
    )


def cancel_step(pid: int, backend_start: datetime, text: str) -> Step:
    """Ends the running statement; the connection survives. It ends nothing when the pid has a new owner."""
    return Step(
        text, f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {_same_session(pid, backend_start)}"
    )


def terminate_step(pid: int, backend_start: datetime, text: str) -> Step:
    """Ends the connection and rolls its transaction back."""
    return Step(
        text,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_same_session(pid, backend_start)}",
    )


def _scope(reading: ActivityReading) -> Scope:
    """Everything, unless sessions are hidden from our role: then only those that we see."""
    if not reading.hidden:
        return Scope()
    return Scope(
        only=frozenset(session.key for session in reading.sessions),
        reason=f"{reading.hidden} sessions are hidden: the role is not a member of pg_monitor",
    )


def _same_session(pid: int, backend_start: datetime) -> str:
    return f"pid = {pid} AND backend_start = {quote_text(backend_start.isoformat())}"
