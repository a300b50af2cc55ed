"""Jobs of the night and of the week, clocks that are changed, and what a baseline must not learn."""

import pytest

from queries.detection.detector import Detector
from queries.detection.shifts import Phase, Series, Shift
from tests.support.corpus.series import DAY, Corpus, steady

STEP_S = 300.0
A_DAY = DAY // 5  # readings


def batches(
    days: float, every: int, *, factor: float = 4.0, moved_from: int = 10_000, moved: int = 0
) -> Corpus:
    """Half an hour at three o'clock every so many days; from a day on so many readings later."""
    corpus = steady(days=days, calls=300, step_s=STEP_S)
    for day in range(0, int(days), every):
        begins = day * A_DAY + 36 + (moved if day >= moved_from else 0)
        corpus.slower([0], begins, begins + 6, factor)
    return corpus


def opened(told: list[tuple[int, Shift]], since_day: float) -> list[tuple[int, Series]]:
    return [
        (reading, shift.series)
        for reading, shift in told
        if shift.phase is Phase.OPEN and reading >= since_day * A_DAY
    ]


def test_a_nightly_batch_is_told_once_and_is_usual_from_then_on() -> None:
    told = batches(4, 1).play(Detector())
    assert opened(told, 2) == []
    assert len(opened(told, 0)) <= 1


def test_a_weekly_batch_is_told_once_and_is_usual_from_then_on() -> None:
    told = batches(15, 7).play(Detector())
    assert opened(told, 8) == []


@pytest.mark.parametrize("moved", [12, -12])
def test_a_batch_that_moves_by_an_hour_with_its_clock_is_still_usual(moved: int) -> None:
    assert opened(batches(5, 1, moved_from=3, moved=moved).play(Detector()), 2) == []


def test_a_batch_that_takes_longer_than_usual_is_told() -> None:
    corpus = batches(4, 1)
    corpus.slower([0], 3 * A_DAY + 36, 3 * A_DAY + 42, 3.0)
    assert len(opened(corpus.play(Detector()), 3)) == 1


def test_a_fault_of_days_is_not_learned_and_recovers_to_what_was_before() -> None:
    corpus, detector = steady(days=4, calls=300, step_s=STEP_S), Detector()
    corpus.slower([0], A_DAY, 3 * A_DAY, 3.0)
    told = corpus.play(detector, until=3 * A_DAY - 1)
    (shift,) = detector.open
    assert shift.before == pytest.approx(20, rel=0.05)
    told += corpus.play(detector, 3 * A_DAY - 1)
    phases = [shift.phase for _, shift in told if shift.series is Series.TIME]
    assert phases == [Phase.OPEN, Phase.RECOVERED]


def test_what_grows_slowly_is_learned() -> None:
    """Eight per cent a day: the baseline follows, a fault's would not."""
    corpus = steady(days=5, calls=300, step_s=STEP_S)
    for day in range(5):
        corpus.slower([0], day * A_DAY, (day + 1) * A_DAY, 1.08**day)
    assert opened(corpus.play(Detector()), 0) == []


def test_a_fault_of_an_hour_hides_the_next_one_only_where_it_was() -> None:
    corpus = steady(days=2.5, calls=300, step_s=STEP_S)
    corpus.slower([0], A_DAY, A_DAY + 12, 3.0)
    corpus.slower([0], 2 * A_DAY + 60, None, 3.0)
    assert len(opened(corpus.play(Detector()), 1)) == 2
