"""What the rules make of one look, without a server."""

from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from alerts.bound import BoundRule
from alerts.rules import idle_in_transaction, target_down
from daemon.checking.look import Taken
from daemon.checking.result import Checked, NotCovered
from daemon.checking.verdict import Judging
from daemon.judging import RULE_FAILED
from daemon.memory import Memory
from daemon.names import Names
from pgvigil.model.availability import Availability
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.plugins import Rule
from tests.support.readings import NOW, activity, session, snapshot

IDLE = {"state": "idle in transaction", "state_age_s": 600.0, "xact_age_s": 600.0}
DOWN = Availability(up=False, failure=Failure(FailureKind.REFUSED, "refused"), down_since=NOW, attempts=1)


def bound(rule: Rule[Any], **params: Any) -> BoundRule:
    return BoundRule(rule, rule.params.model_validate(params))


def answering(name: str, answer: Any) -> BoundRule:
    """A rule on the feed activity that gives `answer`, or raises it."""

    def evaluate(*_given: Any) -> Judgement:
        if isinstance(answer, Exception):
            raise answer
        judgement: Judgement = answer
        return judgement

    plain = idle_in_transaction.RULE
    rule = Rule(name=name, watches=("activity",), params=plain.params, evaluate=evaluate, doc=plain.doc)
    return bound(rule)


def judge(
    *rules: BoundRule, not_covered: tuple[NotCovered, ...] = (), availability: Availability | None = None
) -> Checked:
    readings = {"activity": activity(session(**IDLE)), "availability": availability}
    look: Any = SimpleNamespace(
        memory=Memory(),
        taken={
            (None, feed): Taken(snapshot(rows, feed), None, None) for feed, rows in readings.items() if rows
        },
        not_covered={(each.database, each.collector): each for each in not_covered},
        database_names={},
        diagnosis=SimpleNamespace(memory=Memory(), blinding=()),
        up=True,
    )
    nothing: Any = SimpleNamespace(memory=Memory(), text=lambda *_key: None)
    judging = Judging("shop", {each.name: each for each in rules}, look, Names(), nothing)
    judging.judge(Moment(NOW, 0.0))
    return judging.judge(Moment(NOW, 1.0))


def test_how_long_a_rule_wants_to_wait_does_not_count() -> None:
    checked = judge(bound(idle_in_transaction.RULE, **{"for": "1h"}))
    assert [(each.rule, each.target) for each in checked.findings] == [("idle_in_transaction", "shop")]


def test_a_value_between_clear_and_warning_is_no_finding() -> None:
    checked = judge(bound(idle_in_transaction.RULE, warning="20m", critical="1h", clear="1m"))
    assert (checked.findings, checked.not_covered) == ((), ())


def test_a_rule_that_throws_is_not_covered_and_the_others_go_on() -> None:
    """Asked twice, it is reported once."""
    with capture_logs() as logged:
        checked = judge(answering("broken", ZeroDivisionError()), bound(idle_in_transaction.RULE))
    assert [each.rule for each in checked.findings] == ["idle_in_transaction"]
    assert [(each.rule, each.reason) for each in checked.not_covered] == [("broken", RULE_FAILED)]
    assert [line["event"] for line in logged] == ["rule_failed"]


def test_what_a_rule_could_not_judge_is_a_doubt() -> None:
    nowhere = Scope(databases=frozenset(), reason="first reading")
    only = Scope(only=frozenset({"session 1"}), reason="hidden")
    some = Scope(not_covered=frozenset({"a", "b", "c", "d"}), reason="locked")
    checked = judge(
        *(
            answering(name, Judgement((), scope))
            for name, scope in (("one", nowhere), ("two", only), ("three", some), ("four", Scope()))
        )
    )
    assert checked.doubtful
    assert [(each.rule, each.reason) for each in checked.not_covered] == [
        ("one", "first reading"),
        ("two", "hidden"),
        ("three", "4 subjects (a, b, c ...): locked"),
    ]


def test_a_server_that_is_down_is_the_only_finding() -> None:
    """What was read before it went is not told as if it were so now."""
    gone = NotCovered(reason="refused")
    earlier = NotCovered(reason="slow", collector="statements")
    rules = bound(idle_in_transaction.RULE), bound(target_down.RULE)
    checked = judge(*rules, not_covered=(earlier, gone), availability=DOWN)
    assert [(each.rule, each.level) for each in checked.findings] == [("target_down", Level.CRITICAL)]
    assert checked.not_covered == (gone,)


def test_without_target_down_a_server_that_is_down_is_a_doubt() -> None:
    gone = NotCovered(reason="refused")
    checked = judge(not_covered=(gone,), availability=DOWN)
    assert (checked.findings, checked.doubtful) == ((), True)
