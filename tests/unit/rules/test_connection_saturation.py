"""connection_saturation: the share of the slots that applications can get."""

from typing import Any

import pytest

from alerts.rules.connection_saturation import RULE, ConnectionSaturationParams
from pgvigil.model.availability import Availability
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.finding import NOTHING, Judgement, Scope
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE, activity, assert_harmless, context, group, snapshot


def judge(rows: Any, feed: str = "activity", **params: Any) -> Judgement:
    return RULE.evaluate(snapshot(rows, feed), ConnectionSaturationParams(**params), context())


@pytest.mark.parametrize(
    ("taken", "level"),
    [(70, None), (71, Level.HOLD), (80, Level.WARNING), (95, Level.CRITICAL), (120, Level.CRITICAL)],
)
def test_reserved_slots_do_not_count_as_usable(taken: int, level: Level | None) -> None:
    judgement = judge(activity(groups=(group(taken),), max_connections=110, reserved=10))
    assert [finding.level for finding in judgement.findings] == ([] if level is None else [level])
    assert judgement.scope == Scope()


def test_it_names_who_holds_the_connections_largest_first() -> None:
    groups = (
        group(5, "active", application="api"),
        group(90, "idle", application="leaky"),
        group(1, "idle in transaction", application=""),
    )
    (finding,) = judge(activity(groups=groups)).findings
    table = finding.evidence.blocks[0].text.splitlines()
    assert table[1].split()[:2] == ["90", "leaky"]
    assert "leaky: 90" in finding.evidence.cause
    assert "(not named)" in table[-1]


def test_a_refusal_for_want_of_a_slot_is_critical_whatever_was_counted_last() -> None:
    failure = Failure(FailureKind.TOO_MANY_CONNECTIONS, "sorry, too many clients already", "53300")
    judgement = judge(Availability(up=False, failure=failure), "availability")
    (finding,) = judgement.findings
    assert finding.level is Level.CRITICAL
    assert judgement.scope.covers(None, finding.subject)
    assert finding.subject == judge(activity(groups=(group(99),))).findings[0].subject


@pytest.mark.parametrize(
    "availability",
    [
        Availability(up=True),
        Availability(up=False, failure=Failure(FailureKind.TIMEOUT, "statement timeout")),
        Availability(up=False),
    ],
)
def test_an_answer_or_a_slow_one_changes_nothing(availability: Availability) -> None:
    assert judge(availability, "availability") == Judgement((), NOTHING)


def test_on_a_server_that_is_down_nobody_can_count() -> None:
    failure = Failure(FailureKind.REFUSED, "connection refused")
    judgement = judge(Availability(up=False, failure=failure), "availability")
    assert judgement.findings == ()
    assert judgement.scope.blind_to(None, "connections")


def test_hostile_names_do_no_harm() -> None:
    (finding,) = judge(
        activity(groups=(group(99, application=HOSTILE, user_name=HOSTILE, database=HOSTILE),))
    ).findings
    assert_harmless(finding)
    assert len(finding.evidence.blocks[0].text.splitlines()) == 2


def test_many_groups_are_cut_and_counted() -> None:
    (finding,) = judge(activity(groups=tuple(group(1, application=f"app{n}") for n in range(97)))).findings
    assert finding.evidence.blocks[0].text.endswith("... 87 more")
