"""What holds for every life, whatever is observed and however the wall clock jumps."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.lifecycle import gone, step
from alerts.timers import Policy, restore
from alerts.tracked import Absent, NotCovered, Observation, Outcome, Seen, Tracked
from pgvigil.model.incident import State, Transition
from pgvigil.model.level import Level
from tests.unit.alerts.acting import Clock, finding

_VISIBLE = {"worse", "better", "unknown", "known", "resolved", "reopened", "suppressed", "unsuppressed"}


@dataclass(frozen=True, slots=True)
class Gone:
    """The subject is no more."""


Event = Observation | Gone

events = st.one_of(
    st.sampled_from(list(Level)).flatmap(
        lambda level: st.floats(0, 100).map(lambda value: Seen(finding(level=level, value=value)))
    ),
    st.just(Absent()),
    st.sampled_from([NotCovered("silent"), NotCovered("refused")]),
    st.just(Gone()),
)
lives = st.lists(
    st.tuples(events, st.floats(0, 400), st.sampled_from([0, 0, 0, 3600, -3600])), min_size=1, max_size=60
)
policies = st.builds(Policy, for_s=st.sampled_from([0, 30, 120]), keep_firing_for_s=st.sampled_from([0, 60]))


@dataclass(frozen=True, slots=True)
class Happened:
    """One event, what it made, and when on the monotonic clock."""

    event: Event
    mono_s: float
    was: Tracked | None
    now: Tracked | None
    transition: Transition | None


def play(policy: Policy, life: list[tuple[Event, float, float]]) -> list[Happened]:
    clock = Clock()
    tracked: Tracked | None = None
    story = []
    for event, gap_s, wall_s in life:
        clock.step_wall(wall_s)
        moment = clock.after(gap_s)
        was = tracked
        if isinstance(event, Gone):
            outcome = Outcome(None) if tracked is None else gone(tracked, "dropped", moment)
        else:
            outcome = step(tracked, event, policy, moment)
        tracked = outcome.tracked
        story.append(Happened(event, moment.mono_s, was, tracked, outcome.transition))
    return story


def _evidence_s(story: list[Happened], until: int) -> float:
    """How long it was seen without a gap's time, up to the sight at `until`: counted in the plainest way."""
    total_s = 0.0
    for index in range(until, -1, -1):
        happened = story[index]
        level = happened.event.finding.level if isinstance(happened.event, Seen) else None
        if isinstance(happened.event, NotCovered):
            continue
        if level is None or level is Level.HOLD:
            break
        following = story[index + 1] if index < until else None
        if following is not None:
            total_s += following.mono_s - happened.mono_s
        if happened.transition is not None and happened.transition.kind == "opened":
            break
    return total_s


@given(policies, lives)
@settings(max_examples=400, deadline=None)
def test_what_holds_of_every_life(policy: Policy, life: list[tuple[Event, float, float]]) -> None:
    """Nothing fires before `for` of evidence, resolves without an absence, or loses its order of versions."""
    story = play(policy, life)
    for index, happened in enumerate(story):
        if happened.transition is None:
            continue
        _holds_of_a_transition(happened, happened.transition)
        if happened.transition.kind in {"fired", "reopened"}:
            assert isinstance(happened.event, Seen)
            assert happened.event.finding.level > Level.HOLD
            assert _evidence_s(story, index) >= policy.for_s - 1e-6


def _holds_of_a_transition(happened: Happened, transition: Transition) -> None:
    before, after = transition.before, transition.after
    if before is None:
        assert after.version == 1
    elif transition.kind in _VISIBLE or (transition.kind == "fired" and before.state is State.PENDING):
        assert after.version == before.version + 1
    else:
        assert before.version <= after.version <= before.version + 1
    if transition.kind == "resolved":
        assert isinstance(happened.event, Absent | Gone)
        assert after.fired_at is not None
        assert before is not None
        assert before.state in (State.FIRING, State.UNKNOWN)
    if transition.kind == "unknown":
        assert isinstance(happened.event, NotCovered)
    assert after.peak >= after.severity or after.state is State.PENDING or transition.kind == "dropped"
    assert (after.state is State.UNKNOWN) <= bool(after.reason)


@given(policies, lives)
@settings(max_examples=200, deadline=None)
def test_the_wall_clock_decides_nothing(policy: Policy, life: list[tuple[Event, float, float]]) -> None:
    """The same life with a steady wall clock has the same transitions."""
    steady = [(event, gap_s, 0.0) for event, gap_s, _ in life]
    kinds = [h.transition.kind if h.transition else None for h in play(policy, life)]
    assert kinds == [h.transition.kind if h.transition else None for h in play(policy, steady)]


@given(policies, lives, lives)
@settings(max_examples=200, deadline=None)
def test_a_restart_at_any_moment_resolves_nothing_by_itself(
    policy: Policy, life: list[tuple[Event, float, float]], rest: list[tuple[Event, float, float]]
) -> None:
    """Blind readings after a restart, however many and for however long, leave the open incident open."""
    written = [h.transition.after for h in play(policy, life) if h.transition is not None]
    if not written or not written[-1].open:
        return
    clock = Clock()
    tracked = Tracked(written[-1], restore(written[-1], clock.now))
    for _, gap_s, wall_s in rest:
        clock.step_wall(wall_s)
        outcome = step(tracked, NotCovered("not read yet"), policy, clock.after(gap_s))
        assert outcome.tracked is not None
        tracked = outcome.tracked
    assert tracked.incident.state in (State.PENDING, State.UNKNOWN)
