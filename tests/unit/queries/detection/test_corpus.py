"""What is promised of detection, on statements that run for days: hardly ever a false shift, and the true ones soon."""

import math
import statistics
from dataclasses import dataclass

import numpy as np
import pytest

from queries.detection.detector import Detector
from queries.detection.shifts import Phase, Series, Shift
from tests.support.corpus.series import DAY, Corpus, healthy, place

RATES = (2.0, 10.0, 60.0, 400.0)
COMMON = (10.0, 60.0, 400.0)
EACH = 80
HEALTHY = 50  # of each rate; the others are made slower
JUDGED_FROM = 3 * DAY
INJECTED_FROM = 5 * DAY + 240  # the nightly batch hides what is not slower than it
FACTORS = (2.0, 5.0, 10.0)
WITHIN = {2.0: 40, 5.0: 15, 10.0: 10}  # minutes
LEVELS = (Series.TIME, Series.BLOCKS)


@dataclass
class Played:
    corpus: Corpus
    told: list[tuple[int, Shift]]
    begun: dict[int, tuple[int, float]]  # of an injected statement: the minute, and the factor

    def false(self) -> list[tuple[int, Shift]]:
        """Shifts of blocks and times that opened before anything was injected into the statement."""
        return [
            (minute, shift)
            for minute, shift in self.told
            if shift.phase is Phase.OPEN and shift.series in LEVELS and minute >= JUDGED_FROM
            if minute < self.begun.get(place(shift), (math.inf, 1.0))[0]
        ]

    def series_weeks(self) -> float:
        ends = [
            self.begun.get(each, (self.corpus.readings, 1.0))[0] for each in range(len(self.corpus.rates))
        ]
        return sum(end - JUDGED_FROM for end in ends) / (7 * DAY)

    def delays(self, rate: float, factor: float) -> list[float]:
        """Minutes from the step to a sure shift of the time; infinite where there was none."""
        found: dict[int, int] = {}
        for minute, shift in self.told:
            if shift.phase is Phase.OPEN and shift.series is Series.TIME and shift.sure:
                each = place(shift)
                if minute >= self.begun.get(each, (math.inf, 1.0))[0]:
                    found.setdefault(each, minute + 1)
        return [
            found.get(each, math.inf) - minute
            for each, (minute, made) in self.begun.items()
            if self.corpus.rates[each] == rate and made == factor
        ]


@pytest.fixture(scope="module")
def played() -> Played:
    """Six days; on the last one some statements become slower at times of their own."""
    corpus = healthy(20261123, days=6, rates=RATES, each=EACH)
    chance = np.random.default_rng(7)
    begun = {}
    for each in range(len(corpus.rates)):
        if each % EACH >= HEALTHY:
            factor = FACTORS[each % len(FACTORS)]
            begun[each] = (INJECTED_FROM + int(chance.integers(0, 1100)), factor)
            corpus.slower([each], begun[each][0], None, factor)
    return Played(corpus, corpus.play(Detector()), begun)


@pytest.mark.parametrize("sure", [True, False])
def test_healthy_statements_have_hardly_ever_a_shift(played: Played, *, sure: bool) -> None:
    """Of those that are sure and of those that are an info, at most 0.02 in a week of a statement."""
    false = [
        (minute, shift.series, shift.found_by, place(shift))
        for minute, shift in played.false()
        if shift.sure is sure
    ]
    assert len(false) <= 0.02 * played.series_weeks(), false
    assert played.series_weeks() > 100


def test_blocks_of_healthy_statements_have_none(played: Played) -> None:
    assert [
        each for each in played.told if each[1].series is Series.BLOCKS and each[1].phase is Phase.OPEN
    ] == []


@pytest.mark.parametrize("rate", COMMON)
@pytest.mark.parametrize("factor", FACTORS)
def test_a_slower_statement_is_found_in_time(played: Played, rate: float, factor: float) -> None:
    delays = played.delays(rate, factor)
    assert len(delays) == 10
    assert statistics.median(delays) <= WITHIN[factor], sorted(delays)


@pytest.mark.parametrize("factor", FACTORS)
def test_hardly_one_is_found_late(played: Played, factor: float) -> None:
    delays = [delay for rate in COMMON for delay in played.delays(rate, factor)]
    assert sum(delay <= WITHIN[factor] for delay in delays) >= 0.85 * len(delays), sorted(delays)
    assert max(delays) < math.inf


def test_a_dropped_index_is_found_within_five_readings() -> None:
    corpus = healthy(5, days=1.5, rates=(10.0, 60.0), each=10)
    corpus.slower(slice(None), 2000, None, 148.0, blocks=True)
    opened = [
        (reading - 2000 + 1, place(shift))
        for reading, shift in corpus.play(Detector())
        if shift.phase is Phase.OPEN and shift.series is Series.BLOCKS
    ]
    assert {each for _, each in opened} == set(range(20))
    assert max(delay for delay, _ in opened) <= 5
