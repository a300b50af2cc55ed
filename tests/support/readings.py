"""Hand-made readings for the tests of rules: everything has a quiet default, a test states what matters."""

from datetime import UTC, datetime, timedelta
from typing import Any

from collectors.activity import ActivityReading, Session, SessionGroup
from collectors.lock_waits import Lock, Prepared, WaitGraph, WaitSession
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


def wait_session(pid: int, **different: Any) -> WaitSession:
    """A client's session that waits, or is in the way."""
    quiet: dict[str, Any] = {
        "pid": pid,
        "backend_start": STARTED,
        "backend_type": "client backend",
        "database": "shop",
        "user_name": "ci_user",
        "application": f"app{pid}",
        "client": "10.0.0.7",
        "state": "active",
        "state_age_s": 10.0,
        "xact_age_s": 10.0,
        "query_age_s": 10.0,
        "query_id": 1000 + pid,
        "query": "UPDATE invoices SET card = '4111-1111' WHERE id = 7",
    }
    return WaitSession(**{**quiet, **different})


def lock(pid: int, **different: Any) -> Lock:
    """A wait of ten seconds for the table invoices."""
    quiet: dict[str, Any] = {
        "pid": pid,
        "gid": None,
        "gid_age_s": None,
        "gid_database": None,
        "gid_owner": None,
        "granted": False,
        "mode": "RowExclusiveLock",
        "locktype": "relation",
        "tag": "relation/5/16412",
        "database_oid": 5,
        "relation_oid": 16412,
        "relation": "invoices",
        "wait_age_s": 10.0,
    }
    return Lock(**{**quiet, **different})


def wait_graph(
    blockers: dict[int, tuple[int | str, ...]],
    *,
    sessions: tuple[WaitSession, ...] = (),
    waits: tuple[Lock, ...] = (),
    held: tuple[Lock, ...] = (),
    prepared: tuple[Prepared, ...] = (),
    **different: Any,
) -> WaitGraph:
    """The sessions and waits that are not given are the quiet ones."""
    pids = {*blockers, *(each for found in blockers.values() for each in found if isinstance(each, int))}
    known = {each.pid: each for each in sessions}
    return WaitGraph(
        **{
            "connections": 120,
            "sessions": {pid: known.get(pid, wait_session(pid)) for pid in pids},
            "prepared": {each.gid: each for each in prepared},
            "blockers": blockers,
            "waits": {**{pid: lock(pid) for pid in blockers}, **{each.pid: each for each in waits}},
            "held": held,
            **different,
        }
    )
