"""xid_wraparound and multixact_wraparound, with the figures of real servers."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from alerts.rules import multixact_wraparound
from alerts.rules.xid_wraparound import RULE, XidWraparoundParams
from collectors.wraparound import Counters, DatabaseAge, WraparoundReading
from collectors.xmin_horizon import Holder
from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from pgvigil.model.series import Point
from pgvigil.track import Track
from tests.support import views
from tests.support.readings import HOSTILE, NOW, STARTED, assert_harmless, context, snapshot

MILLION = 1_000_000


def database(name: str = "shop", **different: Any) -> DatabaseAge:
    plain = DatabaseAge(
        name=name, xids=150 * MILLION, multixacts=0, oldest_multixact=1, connectable=True, template=False
    )
    return plain._replace(**different)


def reading(
    *databases: DatabaseAge, freeze_at: int = 200 * MILLION, holders: tuple[Holder, ...] = ()
) -> WraparoundReading:
    return WraparoundReading(
        counters=Counters(9_000 * MILLION, freeze_at, 400 * MILLION), databases=databases, holders=holders
    )


def holder(**different: Any) -> Holder:
    plain = Holder(
        kind="prepared",
        name="x",
        xids=600 * MILLION,
        since_s=86_400.0,
        pid=None,
        backend_start=None,
        backend_type="",
        database="shop",
        user_name="app",
        application="",
        client="",
        state="prepared",
        lost=False,
    )
    return plain._replace(**different)


def rising(per_s: float, *, hours: float = 24.0) -> Sequence[Point]:
    steps = 48
    return [
        Point(
            NOW - timedelta(hours=hours * (1 - step / steps)),
            9e9 - per_s * 3600 * hours * (1 - step / steps),
        )
        for step in range(steps + 1)
    ]


def judge(
    *databases: DatabaseAge, per_s: float | None = None, hours: float = 24.0, **known: Any
) -> Finding | None:
    points = () if per_s is None else rising(per_s, hours=hours)
    params = XidWraparoundParams(**known.pop("params", {}))
    judgement = RULE.evaluate(
        snapshot(reading(*databases, **known), "wraparound"),
        params,
        context(history=lambda _series, _key="": points),
    )
    return judgement.findings[0] if judgement.findings else None


@pytest.mark.parametrize(
    ("xids", "level"),
    [
        (150, None),
        (230, None),
        (900, None),
        (1000, Level.HOLD),
        (1073, Level.WARNING),
        (1716, Level.CRITICAL),
    ],
)
def test_the_share_alone_is_graded_where_nothing_is_known_of_the_rate(xids: int, level: Level | None) -> None:
    found = judge(database(xids=xids * MILLION))
    assert (found.level if found else None) == level


@pytest.mark.parametrize(
    ("xids", "per_s", "level"),
    [
        (205, 20_000, None),  # a day is left, and the freeze has only begun
        (249, 20_000, None),
        (260, 2_000, None),  # overdue, with eleven days to go
        (260, 5_000, Level.WARNING),
        (260, 25_000, Level.CRITICAL),
        (1900, 100, Level.CRITICAL),
    ],
)
def test_time_counts_once_the_freeze_is_overdue(xids: int, per_s: float, level: Level | None) -> None:
    found = judge(database(xids=xids * MILLION), per_s=per_s)
    assert (found.level if found else None) == level


def test_the_summary_has_what_is_needed_at_night() -> None:
    found = judge(database(xids=600 * MILLION), database("other", xids=MILLION), per_s=5_000)
    assert found is not None
    assert found.summary == (
        "28.0 % of the transaction ids are used (database shop was not frozen for 600,000,000); writing stops in"
        " 3d13h"
    )
    assert found.subject == "transaction ids"
    assert found.database is None


def test_batches_at_night_have_an_end_too() -> None:
    """Four hours of every twenty-four, as the daemon keeps them: by the hours of rest it would never end."""
    track, value = Track(), 9e9 - 8 * 4 * 3600 * 10_000
    for minute in range(8 * 1440 + 1):
        value += 600_000 if (minute // 60) % 24 in range(2, 6) else 0
        track.add(NOW - timedelta(minutes=8 * 1440 - minute), value)
    seen = context(history=lambda _series, _key="": list(track))
    found = RULE.evaluate(
        snapshot(reading(database(xids=1_200 * MILLION)), "wraparound"), RULE.params(), seen
    ).findings
    assert [each.level for each in found] == [Level.WARNING]
    assert "; writing stops in 6d14h (5d10h to 8d16h)" in found[0].summary  # by the mean: 6.57 days


def test_half_an_hour_must_be_known_before_anything_is_forecast() -> None:
    assert judge(database(xids=260 * MILLION), per_s=25_000, hours=0.4) is None


def test_a_late_freeze_that_somebody_wants_is_one_milder() -> None:
    found = judge(database(xids=1_750 * MILLION), freeze_at=1_800 * MILLION)
    assert found is not None
    assert found.level is Level.WARNING
    assert "autovacuum_freeze_max_age is 1,800,000,000" in found.evidence.cause


def test_who_holds_the_horizon_comes_first() -> None:
    found = judge(database(xids=1_200 * MILLION), holders=(holder(),))
    assert found is not None
    assert "prepared transaction 'x'" in found.evidence.cause
    assert [step.sql for step in found.steps if step.sql][1] == "ROLLBACK PREPARED 'x'"
    assert found.explains == {"prepared 'x'", "xmin horizon of shop"}


def test_a_template_without_connections_is_not_to_be_vacuumed_by_hand_just_so() -> None:
    closed = database("template0", xids=1_200 * MILLION, connectable=False)
    beside = judge(closed, database(xids=1_199 * MILLION))
    assert beside is not None
    assert "In database shop" in beside.steps[0].text
    found = judge(closed, database(xids=300 * MILLION))
    assert found is not None
    assert found.steps[0].sql == "ALTER DATABASE template0 WITH ALLOW_CONNECTIONS true"


def test_a_standby_whose_primary_is_watched_is_silent() -> None:
    class Primary:
        name = "primary"
        up = True
        facts = views.facts(in_recovery=False)

        def latest(self, feed: str, database: str | None = None) -> None:
            """Nothing is asked of it."""

    known = context(facts=views.facts(in_recovery=True), peers=(Primary(),))
    rows = reading(database(xids=2_000 * MILLION))
    assert RULE.evaluate(snapshot(rows, "wraparound"), XidWraparoundParams(), known).findings == ()


def test_multixacts_are_judged_by_their_own_age() -> None:
    rule = multixact_wraparound.RULE
    rows = reading(database(xids=MILLION, multixacts=1_100 * MILLION))
    (found,) = rule.evaluate(snapshot(rows, "wraparound"), rule.params(), context()).findings
    assert found.level is Level.WARNING
    assert "of the multixact ids are used" in found.summary


def test_hostile_names_do_no_harm() -> None:
    names = holder(name=HOSTILE, database=HOSTILE, user_name=HOSTILE)
    session = holder(kind="session", pid=1, backend_start=STARTED, application=HOSTILE, user_name=HOSTILE)
    for each in (names, session, holder(kind="standby", name=HOSTILE), holder(kind="slot", name=HOSTILE)):
        found = judge(database(HOSTILE, xids=1_200 * MILLION), holders=(each,))
        assert found is not None
        assert_harmless(found)
