"""target_down: no query is answered, and why."""

from datetime import timedelta

import pytest

from alerts.rules.target_down import RULE, TargetDownParams
from pgvigil.model.availability import Availability
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.finding import NOTHING, Judgement, Scope
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE, NOW, assert_harmless, context, snapshot
from tests.support.views import facts

DOWN = [kind for kind in FailureKind if kind.means_down]


def judge(availability: Availability) -> Judgement:
    return RULE.evaluate(snapshot(availability, "availability"), TargetDownParams(), context())


def failed(kind: FailureKind, message: str = "no") -> Availability:
    since = NOW - timedelta(seconds=95)
    return Availability(up=False, failure=Failure(kind, message), down_since=since, attempts=7)


@pytest.mark.parametrize("kind", DOWN)
def test_each_class_of_failure_has_its_own_words_and_checks(kind: FailureKind) -> None:
    (finding,) = judge(failed(kind)).findings
    figures = {figure.name: figure.value for figure in finding.evidence.figures}
    assert (finding.level, finding.subject) == (Level.CRITICAL, "server")
    assert figures["Class"] == kind.value
    assert (figures["For"], figures["Attempts"]) == ("1m35s", "7 failures in a row")
    assert finding.steps
    assert_harmless(finding)


def test_the_words_of_no_two_classes_are_the_same() -> None:
    assert len({judge(failed(kind)).findings[0].summary for kind in DOWN}) == len(DOWN)


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if not kind.means_down])
def test_a_server_that_lives_is_neither_down_nor_proven_well(kind: FailureKind) -> None:
    """Neither down nor well: an incident that says it is down is not known to hold any more."""
    assert judge(failed(kind)) == Judgement((), Scope(databases=frozenset(), reason="no"))


def test_only_an_answer_resolves() -> None:
    assert judge(Availability(up=True)) == Judgement((), Scope())
    assert judge(Availability(up=False)) == Judgement((), NOTHING)


@pytest.mark.parametrize(
    ("kind", "in_recovery", "for_s", "told"),
    [
        (FailureKind.STARTING_UP, True, 95, False),
        (FailureKind.STARTING_UP, True, 181, True),
        (FailureKind.STARTING_UP, False, 1, True),
        (FailureKind.REFUSED, True, 1, True),
    ],
)
def test_a_standby_may_take_a_while_to_start(
    kind: FailureKind, in_recovery: bool, for_s: float, told: bool
) -> None:
    """It replays its log before it answers: nothing begins, and nothing that fires ends."""
    since = NOW - timedelta(seconds=for_s)
    reading = Availability(up=False, failure=Failure(kind, "no"), down_since=since, attempts=7)
    known = context(facts=facts(in_recovery=in_recovery))
    judgement = RULE.evaluate(snapshot(reading, "availability"), TargetDownParams(), known)
    assert bool(judgement.findings) is told
    assert told or judgement == Judgement((), NOTHING)


def test_a_hostile_error_text_does_no_harm() -> None:
    (finding,) = judge(failed(FailureKind.LOST, HOSTILE)).findings
    assert_harmless(finding)
