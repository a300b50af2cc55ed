"""Intervals become buckets when there is enough to say, and never over a gap."""

import numpy as np
import pytest

from queries.detection.buckets import FIELDS, Closed, take, trimmed_means
from queries.detection.state import State
from tests.support.corpus.series import Corpus, steady


def played(corpus: Corpus) -> list[tuple[int, Closed]]:
    """The buckets of the first statement, with the reading at which each closed."""
    state = State(FIELDS)
    found = []
    for reading in range(corpus.readings):
        intervals = corpus.intervals(reading)
        state.match(intervals.statements)
        closed, _ = take(state, intervals)
        if len(closed):
            found.append((reading, closed))
    return found


def of_calls(*calls: float, step_s: float = 60.0) -> Corpus:
    corpus = steady(days=len(calls) * step_s / 86_400, step_s=step_s)
    for column in corpus.measures.values():
        column[:, 0] *= np.array(calls) / 60
    return corpus


@pytest.mark.parametrize(
    ("a_minute", "closes"), [(60, [4, 9, 14, 19]), (6, [4, 9, 14, 19]), (5, [5, 11, 17]), (2, [14])]
)
def test_a_bucket_is_as_long_as_its_calls_ask_for(a_minute: float, closes: list[int]) -> None:
    assert [reading for reading, _ in played(of_calls(*[a_minute] * 20))] == closes


def test_readings_that_are_late_or_early_fill_buckets_all_the_same() -> None:
    assert [reading for reading, _ in played(of_calls(*[60] * 20, step_s=59.0))] == [4, 9, 14, 19]
    assert [reading for reading, _ in played(of_calls(*[60] * 6, step_s=150.0))] == [1, 3, 5]


def test_what_has_not_its_calls_within_half_an_hour_is_no_bucket() -> None:
    assert played(of_calls(*[0.5] * 120)) == []


def test_a_gap_ends_a_bucket_that_has_its_calls_and_throws_away_one_that_has_not() -> None:
    common = played(of_calls(60, 60, 60, np.nan, 60, 60, 60, 60, 60))
    assert [reading for reading, _ in common] == [3, 8]
    assert common[0][1].told_s.tolist() == [180.0]
    assert common[0][1].ended_s < common[1][1].began_s
    assert [reading for reading, _ in played(of_calls(6, 6, 6, 6, np.nan, *[6] * 5))] == [9]


def test_the_value_is_the_mean_without_the_tenth_of_the_calls_at_either_end() -> None:
    corpus = of_calls(*[60] * 5)
    corpus.measures["exec_ms"][:, 0] = 60 * np.array([10, 20, 20, 20, 2000])
    ((_, closed),) = played(corpus)
    # Of five equal parts half of the least and half of the most are left out.
    assert closed.mean_ms == pytest.approx([(0.5 * 10 + 3 * 20 + 0.5 * 2000) / 4])
    assert closed.middle_ms == pytest.approx([20.0])


def test_a_reading_of_many_calls_weighs_more() -> None:
    mean, _ = trimmed_means(np.array([[98.0, 1.0, 1.0]]), np.array([[980.0, 1.0, 1e6]]))
    assert mean == pytest.approx([10.0])


def test_more_readings_than_are_kept_are_merged_and_none_is_lost() -> None:
    corpus = of_calls(*[1] * 30)
    ((_, closed),) = played(corpus)
    assert closed.calls == pytest.approx([30.0])
    assert closed.blocks == pytest.approx([80.0])
    assert closed.mean_ms == pytest.approx([20.0], rel=0.02)
