"""Few series, the same ones for long, and counters that only grow."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pgvigil.statements import StatementKey
from queries.delta import StatementDeltas
from queries.topk import Series, StickyTop
from tests.support.statements import FakeStatements, key


class Played:
    """A server, its deltas and its top; a minute a reading."""

    def __init__(self, size: int = 3) -> None:
        self.server = FakeStatements()
        self.deltas = StatementDeltas()
        self.top = StickyTop(size=size)
        self.at_s = 0.0
        self.take()

    def take(self, *, minutes: int = 1) -> tuple[Series, ...]:
        self.at_s += 60 * minutes
        self.top.take(self.deltas.take(self.server.snapshot(self.at_s)))
        return self.top.series

    def minute(self, **ms: float) -> set[int | None]:
        """One minute in which statement `q1` took so many ms; who is a member after it."""
        for name, value in ms.items():
            self.server.run(key(int(name[1:])), 1, ms=value)
        return {series.queryid for series in self.take()} - {None}


def test_members_have_their_own_counters_and_the_others_one_together() -> None:
    played = Played(size=2)
    for _ in range(2):
        played.minute(q1=100, q2=50, q3=10, q4=5)
    one, two, others = played.top.series
    assert one == Series(5, 1, calls=2, exec_s=0.2, rows=2, shared_blocks=4)
    assert two.queryid == 2
    assert others == Series(None, None, calls=4, exec_s=0.03, rows=4, shared_blocks=8)


def test_roles_and_nesting_are_one_member_and_databases_are_two() -> None:
    played = Played()
    for which in (key(1), key(1, userid=11), key(1, toplevel=False), key(1, dbid=6)):
        played.server.run(which)
    told = {(series.dbid, series.queryid): series.calls for series in played.take()}
    assert told == {(5, 1): 3, (6, 1): 1, (None, None): 0}


def test_a_member_stays_an_hour_when_a_heavier_one_comes() -> None:
    played = Played(size=1)
    assert played.minute(q1=100) == {1}
    assert [played.minute(q1=100, q2=900) for _ in range(59)] == [{1}] * 59
    assert played.minute(q1=100, q2=900) == {2}


def test_who_came_first_on_a_quiet_server_makes_room_for_what_is_ten_times_as_heavy() -> None:
    played = Played(size=2)
    assert played.minute(q1=1, q2=20) == {1, 2}
    assert played.minute(q1=1, q2=20, q3=500) == {2, 3}


def test_a_place_changes_early_twice_an_hour_at_most() -> None:
    """Each minute another statement runs, as heavy as the one before: one that is gone keeps its place for a while."""
    played = Played(size=1)
    members = [played.minute(**{f"q{1 + number}": 1000.0}) for number in range(24 * 60)]
    changes = sum(before != after for before, after in pairwise(members))
    assert changes <= 2 * 24


def test_only_a_clearly_heavier_statement_replaces_a_member() -> None:
    played = Played(size=1)
    played.minute(q1=100)
    assert [played.minute(q1=100, q2=115) for _ in range(120)] == [{1}] * 120
    assert [played.minute(q1=100, q2=130) for _ in range(120)][-1] == {2}


def test_a_quiet_minute_does_not_cost_a_place() -> None:
    played = Played(size=1)
    for _ in range(90):
        played.minute(q1=100, q2=10)
    assert played.minute(q2=10) == {1}


def test_who_leaves_takes_nothing_out_of_the_others() -> None:
    played = Played(size=1)
    for _ in range(70):
        played.minute(q1=1, q2=100)
    before = played.top.series[-1]
    assert played.minute(q1=1e9) == {1}
    after = played.top.series[-1]
    assert after == before
    assert played.top.series[0].calls == 1


def test_a_delta_that_could_not_tell_adds_nothing() -> None:
    played = Played(size=1)
    played.minute(q1=5)
    before = played.top.series
    played.server.in_recovery = True
    played.server.run(key(1), 50)
    assert played.take() == before


@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9), st.floats(0.001, 1e7)), max_size=6),
        max_size=30,
    )
)
def test_no_counter_goes_back_and_together_they_are_all_that_ran(
    history: list[list[tuple[int, int, float]]],
) -> None:
    played = Played(size=2)
    before: dict[int | None, Series] = {}
    calls = 0
    for minute in history:
        for queryid, times, ms in minute:
            played.server.run(key(queryid), times, ms)
            calls += times
        now = {series.queryid: series for series in played.take(minutes=10)}
        assert len(now) <= 3
        for queryid in now.keys() & before.keys():
            assert all(new >= old for new, old in zip(now[queryid][2:], before[queryid][2:], strict=True))
        before = now
    members = [StatementKey(5, 10, series.queryid or 0, toplevel=True) for series in played.top.series]
    assert len(set(members)) == len(members)
    assert sum(series.calls for series in played.top.series) <= calls
