"""idle_in_transaction: a transaction held open by a session that does nothing."""

from typing import Any

import pytest

from alerts.rules.idle_in_transaction import RULE, IdleInTransactionParams
from collectors.activity import Session
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE, activity, assert_harmless, context, group, session, snapshot


def judge(*sessions: Session, hidden: int = 0, **params: Any) -> Judgement:
    groups = (group(hidden, "hidden"),) if hidden else ()
    reading = snapshot(activity(*sessions, groups=groups), "activity")
    return RULE.evaluate(reading, IdleInTransactionParams(**params), context())


def idle(age_s: float | None, **different: Any) -> Session:
    state = different.pop("state", "idle in transaction")
    return session(state=state, state_age_s=age_s, xact_age_s=90_000.0, **different)


@pytest.mark.parametrize(
    ("age_s", "level"),
    [(299.0, None), (300.0, Level.WARNING), (1799.0, Level.WARNING), (1800.0, Level.CRITICAL), (None, None)],
)
def test_the_time_in_the_state_is_graded_not_the_age_of_the_transaction(
    age_s: float | None, level: Level | None
) -> None:
    judgement = judge(idle(age_s))
    assert [finding.level for finding in judgement.findings] == ([] if level is None else [level])
    assert judgement.scope == Scope()


@pytest.mark.parametrize(
    "different",
    [
        {"state": "active"},
        {"own": True},
        {"backend_type": "walsender"},
        {"backend_type": "background worker"},
        {"application": "psql"},
    ],
)
def test_working_own_foreign_kind_and_ignored_sessions_are_not_judged(different: dict[str, Any]) -> None:
    assert judge(idle(9000.0, **different), ignore_applications=("psql",)).findings == ()


def test_an_aborted_transaction_is_told_apart() -> None:
    (finding,) = judge(idle(400.0, state="idle in transaction (aborted)")).findings
    assert "failed" in finding.evidence.cause


def test_the_finding_is_about_its_session_alone_and_explains_it() -> None:
    one = idle(400.0)
    (finding,) = judge(one).findings
    assert finding.subject == one.key
    assert finding.about == finding.explains == {one.key}
    assert "long_transaction" in RULE.absorbs


def test_it_tells_what_the_snapshot_costs_vacuum() -> None:
    (finding,) = judge(idle(400.0, xmin_age=12_345)).findings
    assert finding.evidence.notes == ("Its snapshot holds back vacuum by 12,345 transactions.",)


def test_the_command_that_ends_a_session_cannot_hit_a_new_owner_of_the_pid() -> None:
    (finding,) = judge(idle(400.0)).findings
    (ending,) = [step.sql for step in finding.steps if "terminate" in (step.sql or "")]
    assert ending is not None
    assert "pid = 8123 AND backend_start = '2026-11-22T17:14:05+00:00'" in ending


def test_hidden_sessions_cannot_be_told_to_be_well() -> None:
    seen = idle(400.0)
    scope = judge(seen, hidden=3).scope
    assert scope.covers("shop", seen.key)
    assert not scope.covers("shop", "session 1@2026-11-22T00:00:00+00:00")
    assert "3 sessions are hidden" in scope.reason


def test_hostile_names_and_statements_do_no_harm() -> None:
    (finding,) = judge(
        idle(
            400.0,
            application=HOSTILE,
            user_name=HOSTILE,
            client=HOSTILE,
            query=f"SELECT '4111-1111', $${HOSTILE}$$",
        )
    ).findings
    assert_harmless(finding)
    assert "channel" not in finding.evidence.blocks[0].text
