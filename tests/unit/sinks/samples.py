"""Incidents to render and deliver."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pgvigil.model.delivery import Act, ActKind, Delivery, Told
from pgvigil.model.evidence import Block, BlockKind, Evidence, Figure, Step
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level

BEGAN = datetime(2026, 11, 22, 20, 8, 1, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=6, seconds=4)
MENTION = "<!subteam^S123>"

TREE = """\
8123 idle in transaction 6m02s  app=billing-worker  user=ci_user  xact 6m10s
│   last: UPDATE invoices SET status=$1 WHERE id=$2
├─ 9011 waits 4m12s  transactionid   UPDATE invoices SET …        (12 more behind it)
├─ 9020 waits 3m58s  AccessExclusive on invoices   ALTER TABLE invoices ADD COLUMN …
│   └─ 9033 waits 3m51s  AccessShare  SELECT … FROM invoices     (9 more behind it)
└─ … 2 more"""


def pile_up(**changes: Any) -> Incident:
    """A lock pile-up, as blocking_chain reports it."""
    incident = Incident(
        id=412,
        rule="blocking_chain",
        target="orders-prod",
        database="shop",
        subject="session 8123@2026-11-22T20:01:03.123456+00:00",
        state=State.FIRING,
        severity=Level.CRITICAL,
        peak=Level.CRITICAL,
        version=3,
        summary="23 sessions blocked 4m12s by pid 8123 (idle in transaction)",
        value=252.0,
        peak_value=252.0,
        pending_since=BEGAN,
        fired_at=BEGAN + timedelta(seconds=30),
        last_true_at=NOW,
        state_since=BEGAN + timedelta(seconds=30),
        evaluated_at=NOW,
        evidence=Evidence(
            impact="23 of 120 connections wait, and 1.7 more join every second: the pool is full in about 57 s.",
            figures=(
                Figure("Longest wait", "4m12s"),
                Figure("Sessions waiting", "23"),
                Figure("Root", "pid 8123, started 2026-11-22 20:01:03Z"),
                Figure("Waits for", "relation invoices"),
            ),
            blocks=(
                Block(BlockKind.TREE, "Who waits for whom", TREE),
                Block(BlockKind.SQL, "Last statement of 8123", "UPDATE invoices SET status=$1 WHERE id=$2"),
            ),
            cause="ALTER TABLE (pid 9020) queued behind an idle transaction: a lock on one row became a stall of the table.",
            notes=("idle_in_transaction: pid 8123 idle for 6m02s", "long_transaction: pid 8123, 6m10s"),
        ),
        steps=(
            Step("See what the root is.", "SELECT * FROM pg_stat_activity WHERE pid = 8123;"),
            Step("Cancel the DDL first: readers go on, no work is lost.", "SELECT pg_cancel_backend(9020);"),
            Step("Then end the root, if its owner agrees.", "SELECT pg_terminate_backend(8123);"),
        ),
        labels=(("env", "prod"), ("team", "payments")),
    )
    return replace(incident, **changes)


def resolved(**changes: Any) -> Incident:
    ended = BEGAN + timedelta(minutes=14, seconds=7)
    return pile_up(
        state=State.RESOLVED,
        severity=Level.CRITICAL,
        version=9,
        state_since=ended,
        resolved_at=ended,
        evaluated_at=ended,
        peak_value=340.0,
        reason="pid 8123 committed",
        **changes,
    )


def delivery(**changes: Any) -> Delivery:
    row = Delivery(
        incident_id=412,
        sink="oncall",
        want_version=3,
        urgency=Level.CRITICAL,
        due_since=NOW,
        mention=MENTION,
    )
    return replace(row, **changes)


def act(kind: ActKind = ActKind.POST, told: Told | None = None, version: int = 3) -> Act:
    return Act(kind, 412, version, told)
