"""long_running_query: one statement that does not end."""

from typing import Any

import pytest

from alerts.rules.long_running_query import RULE, LongRunningQueryParams
from collectors.activity import Session
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE, activity, assert_harmless, context, session, snapshot


def judge(*sessions: Session, **params: Any) -> Judgement:
    return RULE.evaluate(
        snapshot(activity(*sessions), "activity"), LongRunningQueryParams(**params), context()
    )


@pytest.mark.parametrize(
    ("age_s", "level"),
    [(1799.0, None), (1800.0, Level.WARNING), (3600.0, Level.CRITICAL), (None, None)],
)
def test_the_age_of_the_statement_is_graded(age_s: float | None, level: Level | None) -> None:
    judgement = judge(session(query_age_s=age_s))
    assert [finding.level for finding in judgement.findings] == ([] if level is None else [level])
    assert judgement.scope == Scope()


@pytest.mark.parametrize(
    "different",
    [
        {"state": "idle in transaction"},
        {"own": True},
        {"backend_type": "walsender"},
        {"backend_type": "autovacuum worker"},
        {"application": "pg_dump"},
    ],
)
def test_idle_own_server_and_dump_sessions_are_not_judged(different: dict[str, Any]) -> None:
    assert judge(session(query_age_s=9000.0, **different)).findings == ()


@pytest.mark.parametrize(
    ("wait", "word"), [("Lock", "lock"), ("Client", "client"), ("IO", "plan"), (None, "plan")]
)
def test_the_likely_cause_follows_what_it_waits_for(wait: str | None, word: str) -> None:
    (finding,) = judge(session(query_age_s=9000.0, wait_event_type=wait, wait_event="x")).findings
    assert word in finding.evidence.cause


def test_one_long_statement_is_one_incident_not_two() -> None:
    """A statement as old as its transaction is judged by long_transaction as well: that becomes evidence."""
    one = session(query_age_s=9000.0, xact_age_s=9000.0)
    (finding,) = judge(one).findings
    assert one.key in finding.explains
    assert "long_transaction" in RULE.absorbs


def test_hostile_names_and_statements_do_no_harm() -> None:
    (finding,) = judge(
        session(
            query_age_s=9000.0, application=HOSTILE, user_name=HOSTILE, query=f"SELECT '4111-1111' {HOSTILE}"
        )
    ).findings
    assert_harmless(finding)
