"""What a sink does not take in time is told through another one; the first goes on trying."""

from datetime import timedelta

import pytest

from alerts.outbox.timekeeper import GRACE_S
from alerts.routes import Route
from pgvigil.model.delivery import DeliveryFailure, DeliveryStatus
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from tests.support.offices import Office
from tests.support.outbox import Rig

WARNING, CRITICAL = Level.WARNING, Level.CRITICAL
TRANSIENT, MISCONFIGURED = DeliveryFailure.TRANSIENT, DeliveryFailure.MISCONFIGURED
ROUTE = Route(sinks=("oncall",), fallback=("pager",), mention="<!here>")


@pytest.fixture
def office(rig: Rig) -> Office:
    office = Office(rig, ROUTE)
    office.later(GRACE_S)
    return office


def down(office: Office, kind: DeliveryFailure | str = TRANSIENT, calls: int = 400) -> None:
    office.rig.sink.faults.extend([kind] * calls)


@pytest.mark.parametrize("kind", [TRANSIENT, MISCONFIGURED, "lost", DeliveryFailure.RATE_LIMITED, "bug"])
def test_after_two_minutes_the_other_one_is_told_and_the_first_goes_on_trying(
    office: Office, kind: DeliveryFailure | str
) -> None:
    """Whatever keeps it from taking it. Both reflect how it goes on."""
    down(office, kind)
    office.rig.sink.can_look = kind != "lost"
    fired = office.rig.commit(severity=CRITICAL)
    assert "post" in office.later(118)
    assert office.paged == []
    office.later(6)
    assert office.paged == ["post"]
    assert office.page().why.startswith("Told here because oncall has not taken it for 2m")
    assert office.page().mention == "<!here>"
    office.rig.sink.faults.clear()
    assert "post" in office.later(1200)
    assert office.paged == []
    assert office.rig.row().seen_state is State.FIRING
    office.over(fired)
    assert office.later(60) == ["edit", "reply resolved"]
    assert office.paged == ["edit", "reply resolved"]


def test_what_is_taken_in_time_is_told_once(office: Office) -> None:
    down(office, calls=5)
    office.rig.commit(severity=CRITICAL)
    assert office.later(600).count("post") == 6
    assert office.paged == []


def test_what_ends_in_time_is_not_told_elsewhere(office: Office) -> None:
    down(office)
    fired = office.rig.commit(severity=CRITICAL)
    office.later(60)
    office.over(fired)
    office.later(600)
    assert office.paged == []


def test_only_what_is_bad_enough(rig: Rig) -> None:
    office = Office(rig, ROUTE)
    office.later(GRACE_S)
    down(office)
    fired = rig.commit(severity=WARNING, peak=WARNING)
    office.later(600)
    assert office.paged == []
    rig.commit(fired, severity=CRITICAL, peak=CRITICAL)
    office.later(4)
    assert office.paged == ["post"], "the sink has been out of reach for ten minutes by then"


def test_what_got_worse_while_the_sink_is_down_is_told_elsewhere(office: Office) -> None:
    fired = office.rig.commit(severity=WARNING, peak=WARNING)
    assert office.later(10) == ["post"]
    down(office)
    office.rig.commit(fired, severity=CRITICAL, peak=CRITICAL)
    office.later(118)
    assert office.paged == []
    office.later(6)
    assert office.paged == ["post"]


def test_an_edit_that_fails_calls_nobody(office: Office) -> None:
    fired = office.rig.commit(severity=CRITICAL)
    office.later(10)
    down(office)
    office.rig.commit(fired, "refreshed", summary="24 sessions")
    office.later(1200)
    assert office.paged == []


@pytest.mark.parametrize("mark", ["silenced_by", "suppressed_by"])
def test_what_is_kept_quiet_is_told_nowhere(office: Office, mark: str) -> None:
    down(office)
    fired = office.rig.commit(severity=CRITICAL)
    office.later(60)
    office.rig.commit(fired, mark.removesuffix("_by"), **{mark: "X-1"})
    office.later(600)
    assert office.paged == []


def test_a_restart_forgets_none_and_gives_the_sink_a_chance_first(office: Office) -> None:
    """It was out of reach for the process before; this one does not know that yet."""
    down(office)
    office.rig.commit(severity=CRITICAL)
    office.later(60)
    office.restart()
    office.rig.clock.pass_time(3600)
    office.restart()
    office.later(GRACE_S - 5)
    assert office.paged == []
    office.later(10)
    assert office.paged == ["post"]
    office.restart()
    office.later(300)
    assert office.paged == [], "nor is it told twice"


def test_a_restart_after_which_the_sink_is_well_tells_nobody_else(office: Office) -> None:
    down(office)
    office.rig.commit(severity=CRITICAL)
    office.later(60)
    office.rig.sink.faults.clear()
    office.rig.clock.pass_time(3600)
    office.restart()
    office.later(600)
    assert office.paged == []
    assert office.rig.row().status is DeliveryStatus.SETTLED


@pytest.mark.parametrize("step_h", [-1, 1])
def test_a_step_of_the_wall_clock_is_no_time(office: Office, step_h: int) -> None:
    down(office)
    office.rig.commit(severity=CRITICAL)
    office.later(60)
    office.rig.clock.set_wall(timedelta(hours=step_h))
    office.later(56)
    assert office.paged == []
    office.later(10)
    assert office.paged == ["post"]


def test_of_two_sinks_one_is_enough_to_be_missed(rig: Rig) -> None:
    """Who wrote down two wants both told; the log is no reason to let the pager sleep."""
    office = Office(rig, Route(sinks=("log", "oncall"), fallback=("pager",)))
    office.later(GRACE_S)
    down(office)
    rig.commit(severity=CRITICAL)
    office.later(124)
    assert office.paged == ["post"]
