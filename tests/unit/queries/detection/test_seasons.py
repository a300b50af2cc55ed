"""Jobs of the night and of the week, clocks that are changed, and what a baseline must not learn.

One statement each, played together for fifteen days in readings of five minutes.
"""

import pytest

from queries.detection.detector import Detector
from queries.detection.shifts import Phase, Series, Shift
from tests.support.corpus.series import DAY, Corpus, place, steady

A_DAY = DAY // 5  # readings
BATCH = A_DAY // 8  # three o'clock, for half an hour
HOUR = A_DAY // 24
NIGHTLY, WEEKLY, EARLIER, LATER, LONGER, FAULT, GROWING, TWICE = range(8)

Told = list[tuple[int, Shift]]


@pytest.fixture(scope="module")
def told() -> Told:
    corpus = steady(days=15, count=8, calls=300, step_s=300.0)
    for day in range(15):
        for which in (NIGHTLY, LONGER):
            _batch(corpus, which, day * A_DAY + BATCH)
        _batch(corpus, EARLIER, day * A_DAY + BATCH - (HOUR if day >= 5 else 0))
        _batch(corpus, LATER, day * A_DAY + BATCH + (HOUR if day >= 5 else 0))
        corpus.slower([GROWING], day * A_DAY, (day + 1) * A_DAY, 1.05**day)
    for day in (0, 7, 14):
        _batch(corpus, WEEKLY, day * A_DAY + BATCH)
    corpus.slower([LONGER], 9 * A_DAY + BATCH, 9 * A_DAY + BATCH + 6, 3.0)
    corpus.slower([FAULT], 3 * A_DAY, 12 * A_DAY, 3.0)
    corpus.slower([TWICE], 3 * A_DAY, 3 * A_DAY + HOUR, 3.0)
    corpus.slower([TWICE], 4 * A_DAY + 5 * HOUR, None, 3.0)
    return corpus.play(Detector())


def _batch(corpus: Corpus, which: int, begins: int) -> None:
    corpus.slower([which], begins, begins + 6, 4.0)


def of(told: Told, which: int, *phases: Phase) -> list[tuple[int, Shift]]:
    """With the day."""
    return [
        (reading // A_DAY, shift)
        for reading, shift in told
        if place(shift) == which and shift.phase in phases and shift.series is Series.TIME
    ]


def opened_on(told: Told, which: int) -> list[int]:
    return [day for day, _ in of(told, which, Phase.OPEN)]


def test_a_nightly_batch_is_told_once_at_most_and_is_usual_from_then_on(told: Told) -> None:
    assert set(opened_on(told, NIGHTLY)) <= {0, 1}


def test_a_weekly_batch_is_told_once_and_is_usual_from_then_on(told: Told) -> None:
    assert set(opened_on(told, WEEKLY)) <= {7}


@pytest.mark.parametrize("which", [EARLIER, LATER])
def test_a_batch_that_moves_by_an_hour_with_its_clock_is_still_usual(told: Told, which: int) -> None:
    assert set(opened_on(told, which)) <= {0, 1}


def test_a_batch_that_is_slower_than_usual_is_told(told: Told) -> None:
    assert [day for day in opened_on(told, LONGER) if day > 1] == [9]


def test_a_fault_of_days_is_not_learned_and_recovers_to_what_was_before(told: Told) -> None:
    (begun, _), (ended, over) = of(told, FAULT, Phase.OPEN, Phase.RECOVERED)
    assert (begun, ended) == (3, 12)
    assert (over.before, over.now) == (pytest.approx(20, rel=0.05), pytest.approx(20, rel=0.05))


def test_what_grows_slowly_is_learned(told: Told) -> None:
    """Five per cent a day, to twice what it was."""
    assert opened_on(told, GROWING) == []


def test_a_fault_of_an_hour_does_not_hide_the_next_one_at_another_time_of_day(told: Told) -> None:
    assert opened_on(told, TWICE) == [3, 4]


def test_blocks_and_calls_and_rows_did_not_move(told: Told) -> None:
    assert {shift.series for _, shift in told} == {Series.TIME}
