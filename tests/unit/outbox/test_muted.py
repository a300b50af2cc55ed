"""What routes mute at a destination is told when the hours are over, if it still fires; nothing of it is lost."""

from dataclasses import replace
from datetime import time
from zoneinfo import ZoneInfo

import pytest

from alerts.hours import Quiet
from alerts.routes import Route
from pgvigil.model.delivery import DeliveryStatus
from pgvigil.model.level import Level
from pgvigil.model.schedule import Schedule
from tests.support.offices import Office
from tests.support.outbox import Rig

WARNING, CRITICAL = Level.WARNING, Level.CRITICAL
# The rig's clock begins at 20:00 UTC.
NIGHT = Schedule(days=frozenset(range(7)), begins=time(19), ends=time(21), zone=ZoneInfo("UTC"))
HOUR_S = 3600.0


@pytest.fixture
def office(rig: Rig) -> Office:
    return Office(rig, Route(sinks=("oncall",), quiet=(Quiet(NIGHT),)))


def test_what_still_fires_when_the_hours_end_is_told_then(office: Office) -> None:
    office.rig.commit(severity=WARNING)
    assert office.later(60) == []
    assert office.later(60) == []
    office.restart()
    assert office.later(HOUR_S) == ["post"]
    assert office.rig.row().why == "Muted here by the routes until 21:00Z"
    assert office.later(60) == []
    assert f"{office.rig.row().due_since:%H:%M}" == "21:00", "as if it began then"


def test_what_ends_before_they_do_is_told_to_nobody_and_is_not_called_dropped(office: Office) -> None:
    for severity in (WARNING, CRITICAL):
        office.over(office.rig.commit(severity=severity, peak=severity, subject=severity.word))
    assert office.later(60) == []
    assert office.later(HOUR_S) == []
    assert office.rig.record.stats().dropped == {"over": 0}


def test_what_was_told_before_is_edited_and_its_end_is_heard(office: Office) -> None:
    """Nobody is left with an alarm that is over."""
    office.route(Route(sinks=("oncall",)))
    fired = office.rig.commit(severity=WARNING)
    office.rig.run(5)
    office.route(Route(sinks=("oncall",), quiet=(Quiet(NIGHT),)))
    worse = office.rig.commit(fired, severity=CRITICAL)
    assert office.later(60) == ["edit"]
    office.over(worse)
    assert office.later(60) == ["edit", "reply resolved"]


def test_what_got_worse_meanwhile_is_heard_when_they_end(office: Office) -> None:
    office.route(Route(sinks=("oncall",)))
    fired = office.rig.commit(severity=WARNING)
    office.rig.run(5)
    office.route(Route(sinks=("oncall",), quiet=(Quiet(NIGHT),)))
    office.rig.commit(fired, severity=CRITICAL)
    assert office.later(60) == ["edit"]
    assert office.later(HOUR_S) == ["edit", "reply worse"]


def test_hours_for_what_is_critical_let_it_through_at_once(rig: Rig) -> None:
    office = Office(rig, Route(sinks=("oncall",), quiet=(Quiet(NIGHT, below=CRITICAL),)))
    fired = rig.commit(severity=WARNING, peak=WARNING)
    assert office.later(60) == []
    rig.commit(fired, severity=CRITICAL, peak=CRITICAL)
    assert office.later(1) == ["post"]


def test_another_route_that_is_not_muted_tells_it(rig: Rig) -> None:
    loud = Route(sinks=("oncall",))
    office = Office(rig, Route(sinks=("oncall",), quiet=(Quiet(NIGHT),), go_on=True), loud)
    rig.commit(severity=WARNING)
    assert office.later(1) == ["post"]


def test_a_mute_that_is_taken_out_of_the_configuration_ends(office: Office) -> None:
    office.rig.commit(severity=WARNING)
    assert office.later(60) == []
    office.route(Route(sinks=("oncall",)))
    assert office.later(60) == ["post"]


def test_what_is_silenced_stays_quiet_after_the_hours(office: Office) -> None:
    fired = office.rig.commit(severity=WARNING, silenced_by="SIL-1")
    assert office.later(HOUR_S + 60) == []
    office.rig.commit(fired, "unsilenced", silenced_by=None)
    assert office.later(1) == ["post"]


def test_a_digest_says_nothing_of_what_is_muted(office: Office) -> None:
    for name in ("one", "two", "three"):
        office.rig.commit(severity=WARNING, subject=name)
    office.rig.away(600)
    assert office.later(60) == []
    assert office.later(HOUR_S) == ["post"] * 3


def test_without_hours_nothing_is_looked_at_twice(rig: Rig) -> None:
    office = Office(rig, Route(sinks=("oncall",)))
    rig.commit(severity=WARNING)
    rig.run(5)
    row = rig.row()
    assert (office.look(), office.look()) == (0, 0)
    assert (rig.row(), row.status) == (row, DeliveryStatus.SETTLED)


def test_a_row_that_was_changed_meanwhile_is_left(office: Office) -> None:
    office.rig.commit(severity=WARNING)
    office.rig.run(5)
    read = office.rig.row()
    assert office.rig.store.deliveries.wake([replace(read, seen_version=7)], office.rig.clock().utc) == 0
    assert office.rig.store.deliveries.wake([read], office.rig.clock().utc) == 1
    assert office.rig.store.deliveries.wake([read], office.rig.clock().utc) == 0, "it is due already"
