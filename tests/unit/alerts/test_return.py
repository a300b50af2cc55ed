"""Incidents that come back, and incidents that another process stored."""

from dataclasses import replace

from alerts.timers import BRIDGE_S
from tests.unit.alerts.life import ABSENT, BLIND, HOUR_S, Life, seen


def test_within_the_hour_it_reopens_under_its_id() -> None:
    life = Life()
    life.after(0, seen())
    life.after(10, ABSENT)
    assert life.after(HOUR_S, seen()) == "reopened"
    assert (life.incident.reopened, life.incident.resolved_at) == (1, None)
    assert life.written[-1].before is not None


def test_after_the_hour_it_is_another_incident() -> None:
    life = Life()
    life.after(0, seen())
    life.after(10, ABSENT)
    assert life.after(HOUR_S + 1, seen()) == "fired"
    assert (life.incident.reopened, life.written[-1].before) == (0, None)


def test_reopening_needs_for_again() -> None:
    life = Life(for_s=60)
    for gap, observation in ((0, seen()), (60, seen()), (10, ABSENT)):
        life.after(gap, observation)
    assert life.after(100, seen()) == "opened"
    assert life.after(59, seen()) == "refreshed"
    assert life.after(1, seen()) == "reopened"
    assert life.incident.reopened == 1


def test_a_return_that_did_not_last_leaves_the_resolve_as_it_was() -> None:
    """And its version rises, so that a resolve which was not yet told is told."""
    life = Life(for_s=60)
    for gap, observation in ((0, seen()), (60, seen()), (10, ABSENT)):
        life.after(gap, observation)
    resolved = life.incident
    life.after(100, seen())
    assert life.after(10, ABSENT) == "dropped"
    now = life.incident
    assert (now.resolved_at, now.reason, now.reopened) == (resolved.resolved_at, "recovered", 0)
    assert now.version > resolved.version
    assert life.after(HOUR_S - 110, seen()) == "opened"
    life.after(1, ABSENT)
    assert life.after(10, seen()) == "opened"
    assert life.written[-1].before is None, "the hour runs from the resolve, not from the last return"


def test_a_reopened_incident_is_nobodys_child_and_not_acknowledged() -> None:
    life = Life()
    life.after(0, seen())
    assert life.tracked is not None
    marked = replace(life.incident, acknowledged_by="ada", parent_id=3, suppressed_by="INC-3")
    life.tracked = replace(life.tracked, incident=marked)
    life.after(10, ABSENT)
    life.after(10, seen())
    assert (life.incident.marks, life.incident.parent_id) == ((), None)


def test_after_a_short_restart_a_pending_incident_goes_on() -> None:
    life = Life(for_s=120)
    life.after(0, seen())
    life.after(60, seen())
    life.restart(away_s=20)
    assert life.after(0, seen()) is None
    assert life.after(40, seen()) == "fired"


def test_a_long_absence_of_ours_counts_for_nothing() -> None:
    life = Life(for_s=120)
    life.after(0, seen())
    life.after(60, seen())
    life.restart(away_s=BRIDGE_S + 1)
    assert life.after(5, seen()) is None
    assert life.after(59, seen()) == "refreshed"
    assert life.after(1, seen()) == "fired"


def test_after_a_restart_keep_firing_for_goes_on() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen())
    life.after(40, ABSENT)
    life.restart(away_s=1000)
    assert life.after(0, ABSENT) == "refreshed", "what people were told is known to be looked at again"
    assert life.after(20, ABSENT) == "resolved"


def test_after_a_restart_unknown_stays_unknown_until_a_reading() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen())
    life.after(5, BLIND)
    life.restart(away_s=1000)
    assert life.after(0, BLIND) is None
    assert life.after(1, ABSENT) == "known"
    assert life.after(60, ABSENT) == "resolved"


def test_after_a_restart_the_hour_of_reopening_goes_on() -> None:
    life = Life()
    life.after(0, seen())
    life.after(10, ABSENT)
    life.restart(away_s=HOUR_S - 1)
    assert life.after(1, seen()) == "reopened"


def test_stamps_of_the_future_count_as_zero() -> None:
    """The wall clock was stepped back while pgvigil was down."""
    life = Life(for_s=120)
    life.after(0, seen())
    life.after(60, seen())
    life.restart(away_s=-HOUR_S)
    assert life.after(0, seen()) is None
    assert life.after(60, seen()) == "fired"


def test_a_resolve_of_the_future_does_not_stretch_the_hour() -> None:
    life = Life()
    life.after(0, seen())
    life.after(10, ABSENT)
    life.restart(away_s=-2 * HOUR_S)
    assert life.after(HOUR_S + 1, seen()) == "fired"
