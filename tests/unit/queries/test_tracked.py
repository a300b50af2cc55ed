"""The same statements for long, and of each what is known: a number, or nothing, never a wrong one."""

import math
import random

import pytest

from pgvigil.statements import StatementKey
from queries.delta import StatementDeltas
from queries.tracked import MEASURES, Intervals, Tracked
from tests.support.statements import FakeStatements, key


class Played:
    """A server, its deltas and who is tracked; a minute a reading."""

    def __init__(self, size: int = 3, version: int = 17) -> None:
        self.server = FakeStatements(version=version)
        self.deltas = StatementDeltas()
        self.tracked = Tracked(size)
        self.at_s = 0.0
        self.take()

    def take(self, minutes: int = 1) -> Intervals:
        self.at_s += 60 * minutes
        return self.tracked.take(self.deltas.take(self.server.snapshot(self.at_s)))

    def minute(self, **ms: float) -> Intervals:
        """One minute in which statement `q1` took so many ms in one call."""
        for name, value in ms.items():
            self.server.run(key(int(name[1:])), 1, ms=value)
        return self.take()


def calls(intervals: Intervals) -> dict[int, float]:
    counted = intervals.values["calls"].tolist()
    return {each.queryid: value for each, value in zip(intervals.keys, counted, strict=True)}


def untold(intervals: Intervals) -> set[int]:
    return {queryid for queryid, value in calls(intervals).items() if math.isnan(value)}


def test_each_tracked_statement_has_its_row_and_the_others_one_together() -> None:
    played = Played(size=2)
    played.minute(q1=100, q2=50, q3=10, q4=5)
    told = played.minute(q1=100, q2=50, q3=10, q4=5)
    assert calls(told) == {1: 1.0, 2: 1.0}
    assert sorted(told.values["exec_ms"].tolist()) == [50.0, 100.0]
    assert told.values["shared_blocks"].tolist() == [2.0, 2.0]
    assert set(told.values.columns) == set(MEASURES)
    assert told.remainder is not None
    assert (told.remainder["calls"], told.remainder["exec_ms"]) == (2.0, 15.0)


def test_what_did_not_run_is_zero() -> None:
    played = Played()
    played.minute(q1=1, q2=1)
    assert calls(played.minute(q1=1)) == {1: 1.0, 2: 0.0}
    assert calls(played.take()) == {1: 0.0, 2: 0.0}


def test_an_interval_that_cannot_be_told_is_missing_for_all() -> None:
    played = Played()
    played.minute(q1=1, q2=1)
    played.server.run(key(1))
    gap = played.take(minutes=360)
    assert gap.unknown is not None
    assert untold(gap) == {1, 2}
    assert gap.remainder is None
    assert untold(played.minute(q1=1)) == set()


@pytest.mark.parametrize("version", [13, 14, 17])
def test_after_a_reset_the_interval_is_missing_and_then_what_has_no_entry(version: int) -> None:
    played = Played(version=version)
    played.minute(q1=1, q2=1)
    played.server.reset()
    assert untold(played.minute(q1=3)) == {1, 2}
    assert untold(played.minute(q1=1)) == {2}
    assert calls(played.minute(q1=1, q2=1)) == {1: 1.0, 2: 1.0}


def test_an_evicted_statement_is_missing_while_it_has_no_entry() -> None:
    played = Played()
    played.minute(q1=1, q2=1)
    played.server.evict(key(2))
    assert untold(played.minute(q1=1)) == {2}
    assert untold(played.minute(q1=1)) == {2}
    assert calls(played.minute(q1=1, q2=1)) == {1: 1.0, 2: 1.0}


@pytest.mark.parametrize("version", [14, 17])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_told_is_the_truth(version: int, seed: int) -> None:
    """Statements run, are evicted and reset one by one (which 14 does not tell) and all; servers restart."""
    chance = random.Random(f"{version} {seed}")
    played = Played(size=6, version=version)
    everyone = [key(number) for number in range(1, 9)] + [key(1, userid=11), key(2, toplevel=False)]
    told = 0
    for _ in range(400):
        for each in chance.sample(everyone, chance.randrange(len(everyone))):
            played.server.run(each, chance.randrange(1, 50))
        if chance.random() < 0.15:
            chance.choice(
                (
                    lambda: played.server.evict(chance.choice(everyone)),
                    lambda: played.server.reset_one(chance.choice(everyone)) if version != 14 else None,
                    played.server.reset,
                    played.server.restart,
                    lambda: played.server.restart(crash=True),
                )
            )()
        truth = dict(played.server.ran)
        intervals = played.take()
        for each, value in zip(intervals.keys, intervals.values["calls"].tolist(), strict=True):
            assert math.isnan(value) or value == truth.get(each, 0)
            told += not math.isnan(value)
    assert told > 1000


def test_a_heavy_statement_has_a_place_at_once_and_the_lightest_gives_its_own() -> None:
    played = Played(size=4)
    played.minute(q1=100, q2=90, q3=80, q4=70)
    assert set(calls(played.minute(q1=100, q2=90, q3=80, q4=70, q5=9000))) == {1, 2, 3, 5}


def test_one_that_is_a_little_heavier_waits_until_a_tracked_one_ranked_badly_for_many_readings() -> None:
    played = Played(size=4)
    first = {"q1": 100.0, "q2": 90.0, "q3": 80.0, "q4": 70.0}
    played.minute(**first)
    others = {"q1": 100.0, "q2": 90.0, "q3": 80.0, "q5": 72.0}
    members = [set(calls(played.minute(**others, q6=9, q7=9, q8=9))) for _ in range(800)]
    changed = next(number for number, each in enumerate(members) if each != {1, 2, 3, 4})
    assert 240 <= changed < 700
    assert members[changed:] == [{1, 2, 3, 5}] * (800 - changed)


def test_blocks_and_calls_make_a_statement_heavy_too() -> None:
    played = Played(size=2)
    for _ in range(3):
        played.server.run(key(1), calls=1, ms=1e6)
        played.server.run(key(2), calls=10_000, ms=0.001)
        played.minute(q3=10)
    assert set(calls(played.take())) == {1, 2}


def test_places_do_not_change_hands_for_a_storm_of_statements_that_run_once() -> None:
    played = Played(size=4)
    for number in range(50):
        once = {f"q{100 + 5 * number + each}": 1.0 for each in range(5)}
        told = played.minute(q1=100, q2=100, q3=100, q4=100, **once)
    assert set(calls(told)) == {1, 2, 3, 4}
    assert told.remainder is not None
    assert told.remainder["calls"] == 5


def test_an_untold_statement_outside_is_counted() -> None:
    played = Played(size=1)
    played.minute(q1=100, q2=1)
    played.server.evict(key(2))
    told = played.minute(q1=100)
    assert (told.untold, untold(told)) == (1, set())


def test_the_keys_are_those_of_the_entries() -> None:
    played = Played()
    which = key(7, dbid=4, userid=3, toplevel=False)
    played.server.run(which)
    assert played.take().keys == (StatementKey(4, 3, 7, toplevel=False),)
