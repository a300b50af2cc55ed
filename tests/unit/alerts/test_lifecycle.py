"""One incident's life, told as what was observed and when."""

from dataclasses import replace

import pytest

from alerts.lifecycle import gone
from alerts.marks import suppress, unsuppress
from alerts.tracked import NotCovered
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from tests.unit.alerts.life import ABSENT, BLIND, HOUR_S, Life, seen


def test_without_for_the_first_sight_fires() -> None:
    life = Life()
    assert life.after(0, seen()) == "fired"
    assert life.incident.state is State.FIRING
    assert (life.incident.version, life.written[0].before) == (1, None)


def test_with_for_it_fires_when_it_held_that_long_and_not_before() -> None:
    life = Life(for_s=120)
    kinds = [life.after(gap, seen()) for gap in (0, 59, 60, 1)]
    assert kinds == ["opened", "refreshed", "refreshed", "fired"]
    assert life.incident.version == 2


def test_a_spike_while_it_was_pending_is_not_the_worst_it_was() -> None:
    """`for` asks what lasts: nobody is called for one critical sample that came before a lasting warning."""
    life = Life(for_s=60)
    for gap, level in ((0, Level.WARNING), (30, Level.CRITICAL), (30, Level.WARNING)):
        life.after(gap, seen(level))
    assert (life.incident.state, life.incident.peak) == (State.FIRING, Level.WARNING)


def test_pending_that_goes_away_is_dropped() -> None:
    life = Life(for_s=120)
    life.after(0, seen())
    assert life.after(60, ABSENT) == "dropped"
    assert (life.incident.state, life.incident.fired_at) == (State.RESOLVED, None)


def test_a_gap_stops_the_clock_of_a_pending_incident_and_does_not_reset_it() -> None:
    """Held 60 s, then nobody looked for 500 s: 60 s more are needed, not 0 and not 120."""
    life = Life(for_s=120)
    life.after(0, seen())
    assert life.after(60, BLIND) is None
    assert life.after(500, seen()) == "refreshed"
    assert life.after(59, seen()) == "refreshed"
    assert life.after(1, seen()) == "fired"


def test_a_collector_that_fails_every_other_time_delays_and_does_not_hide() -> None:
    life = Life(for_s=120)
    kinds = [life.after(60, observation) for observation in (seen(), BLIND, seen(), BLIND, seen())]
    assert kinds[-1] == "fired"


def test_hold_opens_nothing_and_drops_what_is_pending() -> None:
    life = Life(for_s=120)
    assert life.after(0, seen(Level.HOLD)) is None
    assert life.tracked is None
    life.after(10, seen())
    assert life.after(10, seen(Level.HOLD)) == "dropped"


def test_hold_keeps_a_firing_incident_firing_for_ever() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen())
    kinds = {life.after(50, seen(Level.HOLD)) for _ in range(20)}
    assert kinds == {"refreshed"}


def test_before_it_fires_there_is_no_version_to_tell() -> None:
    life = Life(for_s=120)
    life.after(0, seen(value=1.0))
    assert life.after(40, seen(value=2.0)) == "refreshed"
    assert life.incident.version == 1


def test_what_never_fired_does_not_come_back_under_its_id() -> None:
    life = Life(for_s=120)
    life.after(0, seen())
    life.after(10, ABSENT)
    assert life.after(10, seen()) == "opened"
    assert life.written[-1].before is None


def test_hold_is_shown_as_a_warning_at_most() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen(Level.CRITICAL))
    life.after(10, seen(Level.HOLD))
    assert life.incident.severity is Level.CRITICAL
    assert life.after(60, seen(Level.HOLD)) == "better"
    assert (life.incident.severity, life.incident.peak) == (Level.WARNING, Level.CRITICAL)


def test_hold_does_not_raise_what_is_only_worth_an_info() -> None:
    life = Life()
    life.after(0, seen(Level.INFO))
    life.after(10, seen(Level.HOLD))
    assert life.incident.severity is Level.INFO


def test_it_resolves_keep_firing_for_after_it_was_last_true() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen())
    assert life.after(30, ABSENT) == "refreshed"
    assert life.after(29, ABSENT) is None
    assert life.after(1, ABSENT) == "resolved"
    assert life.incident.reason == "recovered"


def test_coming_back_while_it_still_fires_is_no_news() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen())
    life.after(50, ABSENT)
    life.after(5, seen())
    assert life.after(55, ABSENT) == "refreshed"
    assert life.after(5, ABSENT) == "resolved"
    assert [transition.kind for transition in life.written].count("fired") == 1


def test_without_keep_firing_for_it_resolves_at_the_first_absence() -> None:
    life = Life()
    life.after(0, seen())
    assert life.after(5, ABSENT) == "resolved"


def test_a_gap_makes_it_unknown_at_once_and_never_resolves_it() -> None:
    life = Life()
    life.after(0, seen())
    assert life.after(5, BLIND) == "unknown"
    assert (life.incident.state, life.incident.reason) == (State.UNKNOWN, BLIND.reason)
    assert {life.after(600, BLIND) for _ in range(100)} == {None}
    assert life.incident.state is State.UNKNOWN


def test_a_new_reason_for_not_knowing_is_told_but_not_faster_than_figures() -> None:
    life = Life()
    life.after(0, seen())
    life.after(5, BLIND)
    assert life.after(5, NotCovered("connection refused")) is None
    assert life.after(25, NotCovered("connection refused")) == "refreshed"
    assert life.incident.reason == "connection refused"


def test_seen_again_after_a_gap_it_is_known() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen())
    life.after(5, BLIND)
    assert life.after(5, seen(Level.CRITICAL)) == "known"
    assert (life.incident.state, life.incident.severity) == (State.FIRING, Level.CRITICAL)
    assert life.incident.reason == ""


def test_after_a_gap_the_quiet_time_starts_with_the_first_reading() -> None:
    """Ten blind minutes are not ten quiet ones."""
    life = Life(keep_firing_for_s=60)
    life.after(0, seen())
    life.after(10, BLIND)
    assert life.after(600, ABSENT) == "known"
    assert life.after(59, ABSENT) == "refreshed"
    assert life.after(1, ABSENT) == "resolved"


def test_quiet_time_before_a_gap_does_not_count() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen())
    life.after(55, ABSENT)
    life.after(1, BLIND)
    assert life.after(10, ABSENT) == "known"
    assert life.after(59, ABSENT) == "refreshed"


def test_after_a_gap_without_keep_firing_for_an_absence_resolves() -> None:
    life = Life()
    life.after(0, seen())
    life.after(5, BLIND)
    assert life.after(5, ABSENT) == "resolved"


def test_worse_is_told_at_once() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen())
    assert life.after(1, seen(Level.CRITICAL)) == "worse"
    assert life.incident.peak is Level.CRITICAL


def test_better_is_told_when_it_lasted_and_at_the_worst_level_of_that_time() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen(Level.CRITICAL))
    life.after(10, seen(Level.WARNING))
    life.after(25, seen(Level.INFO))
    assert life.incident.severity is Level.CRITICAL
    assert life.after(35, seen(Level.INFO)) == "better"
    assert life.incident.severity is Level.WARNING


def test_a_gap_is_no_evidence_that_it_got_better() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen(Level.CRITICAL))
    life.after(10, seen(Level.WARNING))
    life.after(30, BLIND)
    life.after(500, seen(Level.WARNING))
    assert life.incident.severity is Level.CRITICAL
    assert life.after(60, seen(Level.WARNING)) == "better"


def test_a_value_that_dances_around_a_threshold_is_one_message() -> None:
    life = Life(keep_firing_for_s=60)
    life.after(0, seen(Level.CRITICAL))
    levels = [Level.WARNING, Level.CRITICAL] * 30
    assert {life.after(20, seen(level)) for level in levels} <= {None, "refreshed"}


def test_figures_are_written_every_half_minute_and_nothing_is_lost_between() -> None:
    """The peak between two writes is in the next one."""
    life = Life()
    life.after(0, seen(value=10.0))
    assert life.after(10, seen(value=99.0)) is None
    assert life.after(10, seen(value=12.0)) is None
    assert life.after(10, seen(value=11.0)) == "refreshed"
    assert (life.written[-1].after.value, life.written[-1].after.peak_value) == (11.0, 99.0)


def test_the_version_rises_only_when_people_would_see_something_new() -> None:
    life = Life()
    life.after(0, seen(value=10.0))
    life.after(30, seen(value=10.0))
    assert (life.written[-1].kind, life.incident.version) == ("refreshed", 1)
    life.after(15, seen(value=20.0))
    life.after(15, seen(value=20.0))
    assert (life.written[-1].kind, life.incident.version) == ("refreshed", 2)


def test_gone_resolves_with_the_reason_whatever_the_state() -> None:
    life = Life(keep_firing_for_s=600)
    life.after(0, seen())
    assert life.tracked is not None
    outcome = gone(life.tracked, "database dropped", life.clock.after(5))
    assert outcome.transition is not None
    assert (outcome.transition.kind, outcome.transition.after.reason) == ("resolved", "database dropped")
    assert outcome.tracked is not None
    assert gone(outcome.tracked, "again", life.clock.after(5)).transition is None


@pytest.mark.parametrize("wall_s", [HOUR_S, -HOUR_S])
def test_a_step_of_the_wall_clock_changes_no_duration(wall_s: float) -> None:
    """`for`, `keep_firing_for`, the refresh and the hour of reopening are all unmoved."""
    life = Life(for_s=120, keep_firing_for_s=60)
    life.after(0, seen())
    life.clock.step_wall(wall_s)
    assert life.after(119, seen()) == "refreshed"
    assert life.after(1, seen()) == "fired"
    life.clock.step_wall(wall_s)
    assert life.after(29, seen(value=1.0)) is None
    assert life.after(30, ABSENT) == "refreshed"
    life.clock.step_wall(-wall_s)
    assert life.after(29, ABSENT) is None
    assert life.after(1, ABSENT) == "resolved"
    life.clock.step_wall(wall_s)
    assert life.after(HOUR_S - 1, seen()) == "opened"
    assert life.written[-1].before is not None


def test_suppressing_is_told_once_and_keeps_the_state() -> None:
    life = Life()
    life.after(0, seen())
    assert life.tracked is not None
    parent = replace(life.incident, id=3, subject="session 1")
    outcome = suppress(life.tracked, parent, life.clock.after(1))
    assert outcome.tracked is not None
    child = outcome.tracked.incident
    assert (child.state, child.parent_id, child.suppressed_by) == (State.FIRING, 3, "INC-3")
    assert child.marks == ("suppressed",)
    assert suppress(outcome.tracked, parent, life.clock.after(1)).transition is None
    freed = unsuppress(outcome.tracked, life.clock.after(1)).transition
    assert freed is not None
    assert (freed.kind, freed.after.parent_id, freed.after.marks) == ("unsuppressed", None, ())
