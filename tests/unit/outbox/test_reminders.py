"""While nobody has taken it on people hear again that it goes on, and others hear of it as well."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts.hours import Quiet
from alerts.outbox.hooks import Interrupted
from alerts.outbox.timekeeper import GRACE_S
from alerts.routes import Route
from pgvigil.model.delivery import DeliveryFailure
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.model.schedule import Schedule
from tests.support.offices import Office
from tests.support.outbox import Rig

WARNING, CRITICAL = Level.WARNING, Level.CRITICAL
HOUR_S = 3600.0
REMINDED = ["edit", "reply still"]
REMIND = Route(sinks=("oncall",), remind_every_s=HOUR_S, mention="<!here>")
ESCALATE = Route(sinks=("oncall",), escalate_after_s=900.0, escalate_to=("pager",), mention="<!here>")


def _daily(begins: time, ends: time) -> Schedule:
    return Schedule(days=frozenset(range(7)), begins=begins, ends=ends, zone=ZoneInfo("UTC"))


@pytest.fixture
def office(rig: Rig) -> Office:
    office = Office(rig, REMIND)
    office.later(GRACE_S)
    return office


def fire(office: Office, severity: Level = WARNING, **more: Any) -> Incident:
    since: datetime = office.rig.clock().utc
    return office.rig.commit(severity=severity, peak=severity, unattended_since=since, **more)


def marked(office: Office, before: Incident, **marks: str | None) -> Incident:
    """What the engine does when a mark comes or goes."""
    after = replace(before, **marks)
    since = None if after.marks else office.rig.clock().utc
    return office.rig.commit(before, "marked", unattended_since=since, **marks)


def test_people_hear_again_every_hour_until_somebody_takes_it_on(office: Office) -> None:
    fired = fire(office)
    assert office.later(HOUR_S - 60) == ["post"]
    assert office.later(120) == REMINDED
    assert office.rig.row().mention == ""
    assert office.later(HOUR_S) == REMINDED
    taken = marked(office, fired, acknowledged_by="ana")
    assert office.later(5 * HOUR_S) == ["edit"]
    marked(office, taken, acknowledged_by=None)
    assert office.later(HOUR_S - 60) == ["edit"]
    assert office.later(120) == REMINDED, "an hour after it was given back"


def test_the_hour_begins_anew_with_whatever_else_is_heard(office: Office) -> None:
    fired = fire(office)
    office.later(HOUR_S / 2)
    office.rig.commit(fired, severity=CRITICAL)
    assert office.later(HOUR_S - 60) == ["edit", "reply worse"]
    assert office.later(120) == REMINDED


@pytest.mark.parametrize("mark", ["acknowledged_by", "silenced_by", "suppressed_by"])
def test_nobody_is_reminded_of_what_has_a_mark(office: Office, mark: str) -> None:
    fired = fire(office)
    office.later(60)
    marked(office, fired, **{mark: "X-1"})
    assert "reply still" not in office.later(3 * HOUR_S)


def test_what_is_over_is_over(office: Office) -> None:
    fired = fire(office)
    office.later(60)
    office.over(fired)
    assert office.later(3 * HOUR_S) == ["edit", "reply resolved"]


def test_a_reminder_that_finds_it_taken_on_is_not_sent(office: Office) -> None:
    """It was due when the destination could not be reached; by then somebody looks after it."""
    fired = fire(office)
    office.later(60)
    office.rig.sink.faults.extend([DeliveryFailure.TRANSIENT] * 3)
    office.later(HOUR_S - 60, step_s=60)
    marked(office, fired, acknowledged_by="ana")
    office.rig.sink.faults.clear()
    assert "reply still" not in office.later(HOUR_S)


def test_a_restart_neither_forgets_nor_repeats(office: Office) -> None:
    fire(office)
    office.later(1800)
    office.restart()
    office.rig.clock.pass_time(2 * HOUR_S)
    office.restart()
    assert office.later(GRACE_S - 5) == []
    assert office.later(30) == REMINDED
    office.restart()
    assert office.later(1800) == []


def test_a_process_that_ends_in_the_middle_of_a_reminder_finds_it_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of several reminders of one version, each is told from the others."""
    fire(office)
    office.later(HOUR_S + 60)
    with monkeypatch.context() as context:

        def killed(*_arguments: object, **_named: object) -> None:
            raise Interrupted

        context.setattr(type(office.rig.store.deliveries), "settle", killed)
        with pytest.raises(Interrupted):
            office.later(HOUR_S)
    office.restart()
    assert office.later(1800) == ["find"]
    assert [each.told for each in office.rig.sink.replies] == ["still", "still"]
    assert len({each.key for each in office.rig.sink.replies}) == 2
    assert office.rig.row().seen_reminder == 2


@pytest.mark.parametrize("step_h", [-5, 5])
def test_a_step_of_the_wall_clock_is_no_time(office: Office, step_h: int) -> None:
    fire(office)
    office.later(1800)
    office.rig.clock.set_wall(timedelta(hours=step_h))
    assert office.later(1500) == []
    assert office.later(600) == REMINDED


def test_muted_hours_pass_in_silence_and_one_reminder_comes_after_them(office: Office) -> None:
    """The clock begins at 20:00 UTC."""
    night = Quiet(_daily(time(20, 30), time(4)))
    office.route(replace(REMIND, quiet=(night,)))
    fire(office)
    assert office.later(7.5 * HOUR_S, step_s=300) == ["post"]
    assert office.later(HOUR_S, step_s=60) == REMINDED


def test_one_that_cannot_edit_is_told_in_a_message_of_its_own(office: Office) -> None:
    office.rig.sink.can_edit = office.rig.sink.can_reply = False
    fire(office)
    assert office.later(HOUR_S + 60) == ["post", "post still"]


def test_when_nobody_takes_it_on_others_are_told_as_well_once(rig: Rig) -> None:
    office = Office(rig, ESCALATE)
    office.later(GRACE_S)
    fired = fire(office)
    assert office.later(890) == ["post"]
    assert office.paged == []
    office.later(20)
    assert office.paged == ["post"]
    assert office.page().why.startswith("Told here because nobody has acknowledged it for 15m")
    assert office.page().mention == "<!here>"
    office.restart()
    office.later(HOUR_S)
    assert office.paged == []
    office.over(fired)
    office.later(60)
    assert office.paged == ["edit", "reply resolved"]


@pytest.mark.parametrize("mark", ["acknowledged_by", "silenced_by", "suppressed_by"])
def test_a_mark_stops_it_and_giving_it_back_begins_anew(rig: Rig, mark: str) -> None:
    office = Office(rig, ESCALATE)
    office.later(GRACE_S)
    taken = marked(office, fire(office), **{mark: "X-1"})
    office.later(HOUR_S)
    assert office.paged == []
    marked(office, taken, **{mark: None})
    office.later(880)
    assert office.paged == []
    office.later(60)
    assert office.paged == ["post"]


def test_an_escalation_outlasts_a_restart(rig: Rig) -> None:
    office = Office(rig, ESCALATE)
    fire(office)
    office.later(600)
    office.restart()
    office.rig.clock.pass_time(600)
    office.restart()
    office.later(GRACE_S + 15)
    assert office.paged == ["post"]


def test_hours_in_which_people_were_not_to_be_told_do_not_count(rig: Rig) -> None:
    night = Quiet(_daily(time(19), time(21)))
    office = Office(rig, replace(ESCALATE, quiet=(night,)))
    office.later(GRACE_S)
    fire(office)
    office.later(HOUR_S - GRACE_S + 600)
    assert office.paged == [], "it is 21:10"
    office.later(400)
    assert office.paged == ["post"]


def test_when_a_silence_ends_people_who_knew_hear_that_it_goes_on(office: Office) -> None:
    """Whatever the routes say of reminders; and once."""
    office.route(Route(sinks=("oncall",)))
    fired = fire(office)
    office.later(60)
    silenced = marked(office, fired, silenced_by="SIL-3")
    assert office.later(HOUR_S) == ["edit"]
    ended = marked(office, silenced, silenced_by=None)
    assert office.later(HOUR_S) == REMINDED
    office.rig.commit(ended, "refreshed", summary="24 sessions")
    assert office.later(HOUR_S) == ["edit"]


def test_one_that_is_acknowledged_when_its_silence_ends_is_told_to_nobody(office: Office) -> None:
    silenced = marked(office, fire(office), silenced_by="SIL-3")
    office.later(60)
    taken = marked(office, silenced, acknowledged_by="ana")
    marked(office, taken, silenced_by=None)
    assert "reply still" not in office.later(3 * HOUR_S)


def test_one_that_resolves_while_it_is_silenced_is_no_reminder(office: Office) -> None:
    fired = fire(office)
    office.later(60)
    silenced = marked(office, fired, silenced_by="SIL-3")
    office.rig.commit(
        silenced, "resolved", state=State.RESOLVED, resolved_at=office.rig.clock().utc, silenced_by=None
    )
    assert office.later(HOUR_S) == ["edit", "reply resolved"]
