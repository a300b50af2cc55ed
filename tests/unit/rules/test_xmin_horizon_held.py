"""xmin_horizon_held: how long, of whom, and from what."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from alerts.rules.xmin_horizon_held import RULE, XminHorizonHeldParams, held_s
from collectors.xmin_horizon import Holder, XminHorizonReading
from pgvigil.model.finding import Judgement
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from tests.support import views
from tests.support.readings import HOSTILE, NOW, STARTED, assert_harmless, context, snapshot

MILLION = 1_000_000
NEXT = 900 * MILLION


def holder(kind: str = "session", **different: Any) -> Holder:
    plain = Holder(
        kind=kind,
        name="" if kind == "session" else "x",
        xids=5 * MILLION,
        since_s=5 * 3600.0 if kind in {"session", "prepared"} else None,
        pid=7,
        backend_start=STARTED,
        backend_type="client backend",
        database="shop",
        user_name="app",
        application="report",
        client="10.0.0.9",
        state="active",
        lost=False,
    )
    return plain._replace(**different)


def passed(*per_hour: int) -> Sequence[Point]:
    """The next transaction id, hour by hour, as so many were used in each; the last one is now."""
    left = NEXT - sum(per_hour)
    found = [Point(NOW - timedelta(hours=len(per_hour)), left)]
    for index, used in enumerate(per_hour, 1):
        left += used
        found.append(Point(NOW - timedelta(hours=len(per_hour) - index), left))
    return found


def judge(*holders: Holder, points: Sequence[Point] = (), **known: Any) -> Judgement:
    rows = XminHorizonReading(next_xid=NEXT, holders=holders)
    params = XminHorizonHeldParams(**known.pop("params", {}))
    known = {"history": lambda _series, _key="": points, **known}
    return RULE.evaluate(snapshot(rows, "xmin_horizon"), params, context(**known))


def test_a_long_transaction_that_takes_fresh_snapshots_is_as_old_as_its_snapshot() -> None:
    """Open for five hours, it holds the last million: since an hour at most."""
    points = passed(MILLION, MILLION, MILLION, MILLION, MILLION)
    assert held_s(holder(xids=MILLION), NEXT, points) == 3600
    assert held_s(holder(xids=MILLION), NEXT, ()) == 5 * 3600
    assert held_s(holder("prepared", xids=MILLION), NEXT, points) == 5 * 3600


def test_a_slot_is_as_old_as_the_first_reading_that_saw_a_later_id() -> None:
    points = passed(MILLION, MILLION, MILLION, MILLION, MILLION)
    assert held_s(holder("slot", xids=3 * MILLION + 1), NEXT, points) == 3 * 3600
    assert held_s(holder("standby", xids=90 * MILLION), NEXT, points) == 5 * 3600
    assert held_s(holder("slot", xids=90 * MILLION), NEXT, ()) == 0


@pytest.mark.parametrize(
    ("hours", "xids", "level"),
    [
        (3.9, 50 * MILLION, None),
        (4, MILLION - 1, None),
        (4, MILLION, Level.WARNING),
        (24, MILLION, Level.CRITICAL),
    ],
)
def test_time_and_transactions_together(hours: float, xids: int, level: Level | None) -> None:
    found = judge(holder(since_s=hours * 3600, xids=xids)).findings
    assert [each.level for each in found] == ([] if level is None else [level])


def test_ignored_applications_and_standbys_are_silent() -> None:
    assert judge(holder(), params={"ignore_applications": ("report",)}).findings == ()
    assert judge(holder(), facts=views.facts(in_recovery=True)).findings == ()


def test_a_role_that_sees_no_snapshots_resolves_nothing() -> None:
    scope = judge(facts=views.facts(monitor=False)).scope
    assert scope.blind_to("shop", "session 7@x")
    assert "pg_monitor" in scope.reason


def test_what_it_explains_is_as_wide_as_what_it_holds_back() -> None:
    wide = {
        kind: judge(
            holder(kind, since_s=5 * 3600.0, database="" if kind in {"slot", "standby"} else "shop"),
            points=passed(*[2 * MILLION] * 8),
            params={"warning": "1h", "min_xids": 1},
        )
        .findings[0]
        .explains
        for kind in ("session", "prepared", "slot", "slot_catalog", "standby")
    }
    assert "xmin horizon of shop" in wide["session"] & wide["prepared"]
    assert "xmin horizon" in wide["slot"] & wide["standby"]
    assert wide["slot_catalog"] == {"slot x"}


@pytest.mark.parametrize("kind", ["session", "prepared", "slot", "slot_catalog", "standby"])
def test_hostile_names_do_no_harm(kind: str) -> None:
    hostile = holder(kind, name=HOSTILE, database=HOSTILE, user_name=HOSTILE, application=HOSTILE)
    found = judge(hostile, points=passed(*[3 * MILLION] * 30), params={"min_xids": 1, "warning": "1h"})
    assert_harmless(found.findings[0])


def test_standbys_of_the_same_name_are_told_apart() -> None:
    """By where they are, and on one machine by their session; one that has its name alone keeps it."""
    old = passed(*[MILLION] * 12)
    named = [
        holder("standby", name="replica", client="10.0.0.1", pid=1),
        holder("standby", name="replica", client="10.0.0.2", pid=2),
        holder("standby", name="walreceiver", client="10.0.0.3", pid=3),
        holder("standby", name="both", client="10.0.0.4", pid=4),
        holder("standby", name="both", client="10.0.0.4", pid=5),
        holder("standby", name="alone", client="10.0.0.5", pid=6),
    ]
    judged = judge(*named, points=old)
    assert [finding.subject for finding in judged.findings] == [
        "standby 'replica' at 10.0.0.1",
        "standby 'replica' at 10.0.0.2",
        "standby 'walreceiver' at 10.0.0.3",
        "standby 'both' at 10.0.0.4, pid 4",
        "standby 'both' at 10.0.0.4, pid 5",
        "standby 'alone'",
    ]
    assert len({entity for finding in judged.findings for entity in finding.about}) == len(named)
