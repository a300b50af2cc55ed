"""subscription_errors by hand-made readings: servers that count no errors, and one error that is none."""

from collections.abc import Sequence
from datetime import timedelta

from alerts.rules.subscription_errors import RULE
from collectors.subscriptions import Subscription, SubscriptionsReading
from pgvigil.model.finding import Judgement
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from tests.support.readings import NOW, context, snapshot

SHOP = Subscription(
    name="shop",
    enabled=True,
    slot="shop",
    pid=7,
    copying=0,
    message_age_s=1.0,
    behind_bytes=0,
    apply_errors=None,
    sync_errors=None,
    conflicts=None,
    stats_reset=None,
    disable_on_error=False,
    tables=1,
    unready=0,
)


def judged(row: Subscription, series: str, values: Sequence[float]) -> Judgement:
    """With those values of the series, a minute apart."""
    last = len(values) - 1
    past = tuple(Point(NOW - timedelta(minutes=last - at), value) for at, value in enumerate(values))
    known = context(history=lambda name, _key="": past if name == series else ())
    reading = SubscriptionsReading(subscriptions=(row,))
    return RULE.evaluate(snapshot(reading, "subscriptions", database="shop"), RULE.params(), known)


def test_where_errors_are_not_counted_new_workers_are() -> None:
    (told,) = judged(SHOP, "worker", [1, 2, 3, 4, 5]).findings
    assert told.level is Level.WARNING
    assert told.summary == "Subscription shop began anew 4 times or more in 4m"
    assert judged(SHOP, "worker", [1, 1, 1, 1, 1]).findings == ()


def test_one_error_is_a_restart_of_the_publisher() -> None:
    counting = SHOP._replace(apply_errors=1, sync_errors=0)
    assert [each.level for each in judged(counting, "errors", [0, 0, 1]).findings] == [Level.HOLD]
    assert [each.level for each in judged(counting, "errors", [0, 0, 5]).findings] == [Level.WARNING]


def test_one_that_is_switched_off_does_not_fail() -> None:
    assert judged(SHOP._replace(enabled=False), "worker", [1, 2, 3, 4, 5]).findings == ()


def test_where_the_role_may_not_look_nothing_resolves() -> None:
    reading = snapshot(SubscriptionsReading(unreadable=1), "subscriptions", database="shop")
    answer = RULE.evaluate(reading, RULE.params(), context())
    assert answer.scope.blind_to("shop", "subscription shop")
    assert not answer.scope.blind_to("other", "subscription shop")
