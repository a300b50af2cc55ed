"""Ready-made nouns for tests of what shows them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from daemon.board import CollectorView, SessionCount, StatementSeries, TargetView
from pgvigil.model.availability import Availability
from pgvigil.model.evidence import Block, BlockKind, Evidence, Figure, Step
from pgvigil.model.facts import Facts
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.problems import Problem

T0 = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


def incident(**changes: Any) -> Incident:
    """A firing lock pile-up."""
    plain = Incident(
        id=7,
        rule="blocking_chain",
        target="orders-prod",
        database="shop",
        subject="session 8123@2026-11-22T19:00:00+00:00",
        state=State.FIRING,
        severity=Level.CRITICAL,
        peak=Level.CRITICAL,
        version=2,
        summary="23 sessions blocked 4m12s by pid 8123 (idle in transaction)",
        value=252.0,
        peak_value=252.0,
        pending_since=T0,
        fired_at=T0,
        last_true_at=T0,
        state_since=T0,
        evaluated_at=T0,
        evidence=Evidence(
            impact="23 of 120 connections wait.",
            figures=(Figure("Longest wait", "4m12s"),),
            blocks=(Block(BlockKind.TREE, "Who waits for whom", "8123 idle in transaction\n└─ 9011 waits"),),
            cause="an idle transaction holds the row",
        ),
        steps=(Step("Look at the root", "SELECT * FROM pg_stat_activity WHERE pid = 8123"),),
    )
    return replace(plain, **changes)


def facts(**changes: Any) -> Facts:
    plain = Facts(
        version_num=180006,
        version="18.6",
        database="postgres",
        system_identifier=1,
        in_recovery=False,
        started_at=T0,
        role="pgvigil",
        superuser=False,
        monitor=True,
        max_connections=100,
        reserved_connections=3,
    )
    return replace(plain, **changes)


def view(**changes: Any) -> TargetView:
    """A target that is up, with something in every field."""
    plain = TargetView(
        name="orders-prod",
        labels={"env": "prod"},
        first_tried_at=T0,
        availability=Availability(up=True, started_at=T0, in_recovery=False),
        facts=facts(),
        databases=("postgres", "shop"),
        not_covered={"old": "the database does not allow connections"},
        collectors=(
            CollectorView(
                collector="activity",
                database=None,
                interval_s=10,
                last_success_at=T0,
                last_duration_s=0.004,
                runs=5,
                errors={"timeout": 2},
                missed_ticks=1,
            ),
        ),
        sessions=(SessionCount(database="shop", state="active", sessions=4),),
        waiters=23,
        longest_wait_s=252.0,
        oldest_transaction_at=T0,
        statements=(
            StatementSeries(database="shop", queryid=-42, calls=10, exec_s=1.5, rows=10, shared_blocks=99),
            StatementSeries(database="", queryid=None, calls=1, exec_s=0.1, rows=1, shared_blocks=1),
        ),
        incidents=(incident(),),
        problems=(Problem(slug="not-pg-monitor", sentence="no.", fix="grant it", target="orders-prod"),),
    )
    return replace(plain, **changes)


def down_view(**changes: Any) -> TargetView:
    """The same target when it is down."""
    failure = Failure(FailureKind.REFUSED, "connection refused")
    return view(
        availability=Availability(up=False, failure=failure, down_since=T0, attempts=3),
        sessions=(),
        waiters=None,
        longest_wait_s=None,
        oldest_transaction_at=None,
        **changes,
    )
