"""long_transaction: a snapshot and locks that nobody lets go."""

from typing import Any

import pytest

from alerts.rules.long_transaction import RULE, LongTransactionParams
from collectors.activity import Session
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE, activity, assert_harmless, context, session, snapshot


def judge(*sessions: Session, **params: Any) -> Judgement:
    return RULE.evaluate(
        snapshot(activity(*sessions), "activity"), LongTransactionParams(**params), context()
    )


@pytest.mark.parametrize(
    ("age_s", "level"),
    [(1799.0, None), (1800.0, Level.WARNING), (7200.0, Level.CRITICAL), (None, None)],
)
@pytest.mark.parametrize("state", ["active", "idle in transaction", "idle in transaction (aborted)"])
def test_the_age_of_the_transaction_is_graded_whatever_its_session_does(
    state: str, age_s: float | None, level: Level | None
) -> None:
    judgement = judge(session(state=state, xact_age_s=age_s))
    assert [finding.level for finding in judgement.findings] == ([] if level is None else [level])
    assert judgement.scope == Scope()


def test_a_dump_is_judged_unless_it_is_ignored() -> None:
    dump = session(application="pg_dump", xact_age_s=9000.0)
    (finding,) = judge(dump).findings
    assert "dump" in finding.evidence.cause
    assert judge(dump, ignore_applications=("pg_dump",)).findings == ()


@pytest.mark.parametrize(
    "different", [{"own": True}, {"backend_type": "walsender"}, {"backend_type": "autovacuum worker"}]
)
def test_own_and_server_sessions_are_not_judged(different: dict[str, Any]) -> None:
    assert judge(session(xact_age_s=9000.0, **different)).findings == ()


def test_it_says_what_vacuum_cannot_remove() -> None:
    (finding,) = judge(session(xact_age_s=9000.0, xmin_age=5_000)).findings
    assert "5,000 transactions" in finding.evidence.impact


def test_hostile_names_and_statements_do_no_harm() -> None:
    (finding,) = judge(
        session(
            xact_age_s=9000.0,
            application=HOSTILE,
            user_name=HOSTILE,
            query=f"/*{HOSTILE}*/ SELECT '4111-1111'",
        )
    ).findings
    assert_harmless(finding)
