"""Hand-made readings for the tests of rules: everything has a quiet default, a test states what matters."""

from datetime import UTC, datetime, timedelta
from typing import Any

from collectors.activity import ActivityReading, Session, SessionGroup
from pgvigil.model.finding import Finding
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Context

NOW = datetime(2026, 11, 22, 20, 14, 5, tzinfo=UTC)
STARTED = NOW - timedelta(hours=3)

# What a database can hold in a name or a text: mentions, markup, bidi and control characters, line breaks.
HOSTILE = "```<!channel>\u202e<@U1> `x`\x1b[31m\n*b*\x00"


def snapshot(
    rows: Any, collector: str, *, database: str | None = None, interval_s: float = 10.0
) -> Snapshot[Any]:
    return Snapshot(
        target="orders-prod",
        collector=collector,
        database=database,
        taken_at=NOW,
        mono_s=1000.0,
        duration_s=0.01,
        interval_s=interval_s,
        rows=rows,
    )


def context(**known: Any) -> Context:
    return Context(**{"target": "orders-prod", "now": NOW, **known})


def session(**different: Any) -> Session:
    """An active client session that began a statement a second ago."""
    quiet: dict[str, Any] = {
        "pid": 8123,
        "backend_start": STARTED,
        "backend_type": "client backend",
        "database": "shop",
        "user_name": "ci_user",
        "application": "billing-worker",
        "client": "10.0.0.7",
        "state": "active",
        "state_age_s": 1.0,
        "xact_age_s": 1.0,
        "query_age_s": 1.0,
        "wait_event_type": None,
        "wait_event": None,
        "query_id": 77,
        "xid_age": None,
        "xmin_age": None,
        "own": False,
        "query": "SELECT * FROM orders WHERE card = '4111-1111'",
    }
    return Session(**{**quiet, **different})


def group(sessions: int, state: str = "idle", **different: Any) -> SessionGroup:
    quiet: dict[str, Any] = {
        "database": "shop",
        "user_name": "ci_user",
        "application": "web",
        "state": state,
        "sessions": sessions,
        "longest_state_s": 42.0,
    }
    return SessionGroup(**{**quiet, **different})


def activity(
    *sessions: Session,
    groups: tuple[SessionGroup, ...] = (),
    max_connections: int = 100,
    reserved: int = 3,
) -> ActivityReading:
    return ActivityReading(
        sessions=sessions, groups=groups, max_connections=max_connections, reserved=reserved
    )


def assert_harmless(finding: Finding) -> None:
    """One-line summary, printable text everywhere, and no literal of the tests' statements."""
    evidence = finding.evidence
    lines = [
        finding.summary,
        evidence.impact,
        evidence.cause,
        *evidence.notes,
        *(step.text for step in finding.steps),
        *(f"{figure.name}{figure.value}" for figure in evidence.figures),
    ]
    for line in lines:
        assert line.isprintable(), line
    literal = [block.text for block in evidence.blocks] + [step.sql or "" for step in finding.steps]
    for text in literal:
        assert text.replace("\n", "").isprintable(), text
        assert "4111-1111" not in text
