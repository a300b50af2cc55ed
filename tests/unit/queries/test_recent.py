"""What people see of the last minutes: true sums, the heaviest first, and nothing of what cannot be told."""

import pytest

from queries.delta import StatementDeltas
from queries.recent import Recent, Window
from tests.support.statements import START, FakeStatements, key


class Played:
    """A server and what is known of its last minutes; a minute a reading."""

    def __init__(self, window_s: float = 300.0) -> None:
        self.server = FakeStatements()
        self.deltas = StatementDeltas()
        self.recent = Recent(window_s, size=3)
        self.at_s = 0.0
        self.minute()

    def minute(self, **ms: float) -> Window | None:
        """One minute in which statement `q1` was called once and took so many ms."""
        for name, value in ms.items():
            self.server.run(key(int(name[1:])), 1, ms=value)
        self.at_s += 60
        delta = self.deltas.take(self.server.snapshot(self.at_s))
        self.recent.take(delta)
        return self.recent.window


def test_one_reading_tells_nothing() -> None:
    assert Played().recent.window is None


def test_the_heaviest_stands_first_with_its_share_of_all_time() -> None:
    """Also of the time of statements that have no row of their own."""
    played = Played()
    window = played.minute(q1=100, q2=600, q3=200, q4=100)
    assert window is not None
    assert [each.queryid for each in window.spent] == [2, 3, 1]
    assert [each.share for each in window.spent] == pytest.approx([0.6, 0.2, 0.1])
    assert window.exec_s == pytest.approx(1.0)
    assert window.elapsed_s == pytest.approx(60, rel=0.01)


def test_what_became_heavy_just_now_is_shown_whoever_was_there_before() -> None:
    """The series of metrics stay with their members for long; what people look at does not."""
    played = Played()
    for _ in range(10):
        played.minute(q1=1, q2=2, q3=3)
    window = played.minute(q1=1, q2=2, q3=3, q4=100)
    assert window is not None
    assert [each.queryid for each in window.spent] == [4, 3, 2]


def test_roles_and_nesting_are_one_row() -> None:
    played = Played()
    for which in (key(1, userid=11), key(1, toplevel=False)):
        played.server.run(which, 2, ms=10)
    window = played.minute(q1=5)
    assert window is not None
    assert [(each.calls, each.exec_s, each.rows) for each in window.spent] == [(5, pytest.approx(0.045), 5)]


def test_what_is_older_than_the_window_is_forgotten() -> None:
    played = Played(window_s=120)
    played.minute(q1=5000)
    played.minute(q2=10)
    window = played.minute(q1=1)
    assert window is not None
    assert {each.queryid: (each.calls, round(each.exec_s * 1000)) for each in window.spent} == {
        1: (1, 1),
        2: (1, 10),
    }
    assert (window.until - START).total_seconds() == pytest.approx(240, abs=1)


def test_what_did_not_run_has_no_row() -> None:
    played = Played(window_s=60)
    played.minute(q1=5)
    window = played.minute()
    assert window is not None
    assert (window.spent, window.exec_s) == ((), 0.0)


def test_an_interval_that_cannot_be_told_begins_a_new_window() -> None:
    """A reset in the middle: the sums of before and after do not belong together."""
    played = Played()
    played.minute(q1=100)
    played.server.reset()
    assert played.minute(q1=7) is None
    window = played.minute(q1=3)
    assert window is not None
    assert [(each.queryid, round(each.exec_s * 1000)) for each in window.spent] == [(1, 3)]


def test_a_window_longer_than_an_interval_sums_exactly() -> None:
    played = Played()
    for _ in range(20):
        window = played.minute(q1=10, q2=20)
    assert window is not None
    assert [(each.calls, round(each.exec_s, 3)) for each in window.spent] == [(5, 0.1), (5, 0.05)]
