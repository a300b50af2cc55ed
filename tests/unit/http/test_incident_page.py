"""The page of an incident: how its value went, and commands as they are run."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from daemon.http.words import chart
from pgvigil.model.incident import Incident, State
from pgvigil.model.series import Point
from tests.support.views import T0, incident, view
from tests.support.web import serving

COURSE = tuple(
    Point(T0 + timedelta(minutes=minute), value) for minute, value in ((0, 31.0), (2, 252.0), (3, 90.0))
)


def grown(**changes: Any) -> Incident:
    plain = incident(id=71, value=90.0, evaluated_at=T0 + timedelta(minutes=4))
    return replace(plain, evidence=replace(plain.evidence, course=COURSE), **changes)


def test_the_line_goes_from_the_least_at_the_bottom_to_the_largest_at_the_top() -> None:
    shown = chart(grown())
    assert shown is not None
    points = [tuple(map(float, pair.split(","))) for pair in shown.points.split()]
    assert (points[0], points[-1][0]) == ((0.0, 44.0), 240.0)
    assert min(y for _, y in points) == 4.0
    assert (shown.least, shown.most, shown.now) == ("31s", "4m12s", "1m30s")


def test_what_is_over_has_no_value_of_now() -> None:
    over = grown(state=State.RESOLVED, resolved_at=T0 + timedelta(minutes=9))
    shown = chart(over)
    assert shown is not None
    assert shown.now == ""


def test_the_page_shows_it_and_says_it_in_words() -> None:
    with serving() as world:
        world.publish(view(incidents=(grown(),)))
        status, page, _ = world.get("/incidents/INC-71")
        assert status == 200
        assert '<polyline points="0.0,44.0 ' in page
        assert "From 31s to 4m12s; now 1m30s, since 20:00:00 UTC" in page
        assert "<svg" not in world.get("/incidents/INC-7")[1]


def test_commands_are_as_psql_takes_them_and_the_runbook_is_named() -> None:
    with serving() as world:
        page = world.get("/incidents/INC-7")[1]
        assert "SELECT * FROM pg_stat_activity WHERE pid = 8123;</pre>" in page
        assert "Runbook: pgvigil rules explain blocking_chain" in page
