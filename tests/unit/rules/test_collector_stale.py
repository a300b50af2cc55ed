"""collector_stale: what is not watched is said."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.rules.collector_stale import RULE, CollectorStaleParams
from pgvigil.model.availability import Freshness
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE, NOW, assert_harmless, context, snapshot


def judge(*rows: Freshness) -> Judgement:
    return RULE.evaluate(snapshot(rows, "freshness"), CollectorStaleParams(), context())


def row(missed: float, **different: Any) -> Freshness:
    known: dict[str, Any] = {
        "collector": "constraints",
        "database": "shop",
        "interval_s": 600.0,
        "last_success_at": NOW - timedelta(seconds=600 * missed),
    }
    return Freshness(**{**known, "missed": missed, **different})


@pytest.mark.parametrize(
    ("missed", "level"),
    [(0.5, None), (1, None), (1.5, Level.HOLD), (3, Level.WARNING), (10, Level.CRITICAL)],
)
def test_missed_intervals_are_graded(missed: float, level: Level | None) -> None:
    judgement = judge(row(missed))
    assert [finding.level for finding in judgement.findings] == ([] if level is None else [level])
    assert judgement.scope == Scope()


def test_each_collector_and_database_is_its_own_subject() -> None:
    findings = judge(row(4), row(4, database="other"), row(4, collector="activity", database=None)).findings
    assert len({finding.fingerprint for finding in findings}) == 3


@pytest.mark.parametrize("kind", [None, *FailureKind])
def test_it_says_why_the_last_attempt_failed(kind: FailureKind | None) -> None:
    failure = None if kind is None else Failure(kind, "permission denied for view x")
    (finding,) = judge(row(4, failure=failure)).findings
    figures = {figure.name: figure.value for figure in finding.evidence.figures}
    assert figures.get("Failure") == (None if kind is None else kind.value)
    assert finding.evidence.cause
    assert finding.steps


def test_a_missing_privilege_comes_with_its_grant() -> None:
    failure = Failure(FailureKind.PRIVILEGE, "permission denied for schema stats")
    (finding,) = judge(row(4, failure=failure)).findings
    assert finding.steps[0].sql == "GRANT USAGE ON SCHEMA stats TO pgvigil"


def test_a_collector_that_never_succeeded_says_so() -> None:
    (finding,) = judge(row(4, last_success_at=None)).findings
    assert ("Last success", "never") in [(f.name, f.value) for f in finding.evidence.figures]


def test_hostile_names_do_no_harm() -> None:
    (finding,) = judge(row(4, database=HOSTILE, failure=Failure(FailureKind.SQL, HOSTILE))).findings
    assert_harmless(finding)
