"""A shift: when it opens, what it says, how it ends; and what is not judged."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from queries.detection import state as state_module
from queries.detection.detector import Detector
from queries.detection.shifts import FoundBy, Phase, Series, Shift, Verdict
from tests.support.corpus.series import DAY, START, Corpus, healthy, place, steady

FAULT = 6 * 60  # minutes: long enough for a baseline, a young one


def phases(told: list[tuple[int, Shift]], series: Series) -> list[tuple[int, Phase]]:
    return [(minute, shift.phase) for minute, shift in told if shift.series is series]


def first(told: list[tuple[int, Shift]], series: Series, phase: Phase = Phase.OPEN) -> tuple[int, Shift]:
    return next(each for each in told if each[1].series is series and each[1].phase is phase)


def grown(
    factor: float = 3.0, until: int | None = None, *, blocks: bool = False, days: float = 1.0
) -> Corpus:
    corpus = steady(days=days)
    corpus.slower([0], FAULT, until, factor, blocks=blocks)
    return corpus


def test_a_slower_statement_says_since_when_what_it_was_what_it_is_and_what_it_costs() -> None:
    minute, shift = first(grown(2.5).play(Detector()), Series.TIME)
    assert minute - FAULT < 20
    assert shift.since == START + timedelta(minutes=FAULT)
    assert (shift.before, shift.now) == (pytest.approx(20, rel=0.05), pytest.approx(50, rel=0.05))
    assert shift.factor == pytest.approx(2.5, rel=0.05)
    assert shift.calls_per_s == pytest.approx(1.0)
    assert shift.extra_s_per_s == pytest.approx(0.03, rel=0.1)
    assert (shift.sure, shift.statement.queryid) == (True, 1000)
    assert shift.basis.days == pytest.approx(FAULT / DAY, abs=0.05)
    assert shift.basis.coverage == pytest.approx(1.0, abs=0.1)


def test_only_the_series_that_moved_has_a_shift() -> None:
    told = grown(3.0).play(Detector())
    assert {shift.series for _, shift in told} == {Series.TIME}
    both = grown(3.0, blocks=True).play(Detector())
    assert {shift.series for _, shift in both} == {Series.TIME, Series.BLOCKS}


def test_blocks_say_how_many_there_were_and_are() -> None:
    _, shift = first(grown(1.6, blocks=True).play(Detector()), Series.BLOCKS)
    assert (shift.before, shift.now) == (pytest.approx(80, rel=0.05), pytest.approx(128, rel=0.05))


def test_what_is_ten_times_as_slow_is_told_before_its_buckets() -> None:
    minute, shift = first(grown(10).play(Detector()), Series.TIME)
    assert (minute - FAULT + 1, shift.found_by) == (7, FoundBy.FAST)
    assert shift.since == START + timedelta(minutes=FAULT)


def test_the_open_ones_are_there_until_they_recover_with_the_figures_of_now() -> None:
    corpus, detector = grown(3.0, FAULT + 90), Detector()
    corpus.play(detector, until=FAULT)
    assert detector.open == ()
    corpus.play(detector, FAULT, FAULT + 60)
    (shift,) = detector.open
    assert (shift.series, shift.phase, round(shift.factor or 0)) == (Series.TIME, Phase.OPEN, 3)
    told = corpus.play(detector, FAULT + 60, FAULT + 130)
    minute, over = first(told, Series.TIME, Phase.RECOVERED)
    assert FAULT + 90 < minute <= FAULT + 110
    assert over.until == START + timedelta(minutes=FAULT + 90)
    assert detector.open == ()


def test_one_that_comes_half_way_back_stays_open() -> None:
    corpus = grown(8.0, FAULT + 60)
    corpus.slower([0], FAULT + 60, FAULT + 200, 4.0)
    told = corpus.play(Detector(), until=FAULT + 200)
    assert [phase for _, phase in phases(told, Series.TIME)] == [Phase.OPEN]


def test_a_suspect_that_ends_by_itself_has_passed() -> None:
    told = grown(3.0, FAULT + 10).play(Detector())
    ((_, shift),) = told
    assert (shift.phase, shift.since) == (Phase.PASSED, START + timedelta(minutes=FAULT))
    assert shift.until == START + timedelta(minutes=FAULT + 10)


def test_a_minute_a_hundred_times_as_slow_is_nothing() -> None:
    corpus = steady(days=0.4)
    for minute in range(FAULT, corpus.readings, 47):
        corpus.slower([0], minute, minute + 1, 100.0, blocks=True)
    assert corpus.play(Detector()) == []


def test_less_than_a_millisecond_more_is_nothing() -> None:
    corpus = steady(days=0.4, ms=0.1)
    corpus.slower([0], FAULT, None, 8.0)
    assert corpus.play(Detector()) == []


def test_a_permanent_change_stays_open_and_is_no_baseline_until_it_is_accepted() -> None:
    corpus, detector = grown(3.0, days=1.6), Detector()
    corpus.play(detector, until=DAY)
    (shift,) = detector.open
    assert shift.before == pytest.approx(20, rel=0.05)
    detector.accept(shift.statement)
    assert corpus.play(detector, DAY) == []
    assert (detector.open, detector.verdict(shift.statement)) == ((), Verdict.JUDGED)


def test_rare_and_new_statements_are_not_judged() -> None:
    detector, rare = Detector(), steady(days=0.4, calls=1)
    rare.slower([0], FAULT, None, 50.0, blocks=True)
    assert rare.play(detector) == []
    (who,) = rare.intervals(0).keys
    assert detector.verdict(who) is Verdict.TOO_RARE
    assert detector.verdict(who._replace(queryid=1)) is None
    new, detector = steady(days=0.25), Detector()
    new.slower([0], 150, None, 50.0)
    assert new.play(detector, until=200) == []
    assert detector.verdict(who) is Verdict.LEARNING
    new.play(detector, 200)
    assert detector.verdict(who) is Verdict.JUDGED


def test_calls_move_both_ways_and_none_at_all_is_seen() -> None:
    corpus = steady(days=1.35, count=2, calls=60)
    corpus.measures["calls"][DAY + FAULT :, 0] *= 4
    for column in corpus.measures.values():
        column[DAY + FAULT :, 1] = 0
    told = corpus.play(Detector())
    opened = {place(shift): shift for _, shift in told if shift.series is Series.CALLS}
    assert (opened[0].before, opened[0].now) == (pytest.approx(60, rel=0.01), pytest.approx(240, rel=0.01))
    assert opened[1].now == pytest.approx(0.0, abs=1e-6)  # of 32 bits
    assert {shift.since for shift in opened.values()} == {START + timedelta(minutes=DAY + FAULT)}


def test_rows_per_call_and_temporary_blocks() -> None:
    corpus = steady(days=0.4, count=3)
    corpus.measures["rows"][FAULT:, 0] *= 100
    corpus.measures["temp_blocks"][FAULT:, 1] = 2000
    corpus.measures["temp_blocks"][:, 2] = 2000  # it always did
    told = corpus.play(Detector())
    found = {(place(shift), shift.series): shift for _, shift in told}
    assert set(found) == {(0, Series.ROWS), (1, Series.TEMP)}
    assert (found[0, Series.ROWS].before, found[0, Series.ROWS].now) == (pytest.approx(1), pytest.approx(100))
    assert (found[1, Series.TEMP].now, found[1, Series.TEMP].factor) == (pytest.approx(2000), None)


def test_a_gap_neither_opens_nor_recovers_and_after_it_the_shift_goes_on() -> None:
    corpus, detector = grown(3.0, days=0.6), Detector()
    corpus.gap(FAULT + 60, FAULT + 360)
    told = corpus.play(detector)
    assert [phase for _, phase in phases(told, Series.TIME)] == [Phase.OPEN]
    assert len(detector.open) == 1


def test_after_a_reading_from_years_ahead_the_baseline_is_learned_anew() -> None:
    corpus, detector = steady(days=0.6), Detector()
    corpus.slower([0], 2 * FAULT, None, 3.0)
    corpus.play(detector, until=FAULT)
    ahead = corpus.intervals(FAULT)
    detector.take(replace(ahead, until=ahead.until + timedelta(days=2000)))
    assert corpus.play(detector, FAULT, 2 * FAULT) == []
    assert [shift.series for shift in detector.open] == []
    corpus.play(detector, 2 * FAULT)
    assert [shift.series for shift in detector.open] == [Series.TIME]


def test_a_statement_that_is_no_longer_tracked_or_does_not_run_is_gone_not_recovered() -> None:
    corpus, detector = grown(3.0), Detector()
    corpus.play(detector, until=FAULT + 60)
    other = steady(days=0.4, count=2).intervals(FAULT + 60)
    other.statements.columns["queryid"] = other.statements["queryid"] + 50
    assert [shift.phase for shift in detector.take(other)] == [Phase.GONE]
    stopped = grown(3.0, days=1.4)
    for column in stopped.measures.values():
        column[FAULT + 60 :] = 0
    told = stopped.play(Detector())
    assert [phase for _, phase in phases(told, Series.TIME)] == [Phase.OPEN, Phase.GONE]


@pytest.mark.parametrize("restarts_at", [FAULT - 3, FAULT + 3, FAULT + 40])
def test_a_restart_in_the_middle_changes_nothing(restarts_at: int) -> None:
    corpus = grown(3.0, FAULT + 90, blocks=True)
    before, after = Detector(), Detector()
    told = corpus.play(before, until=restarts_at)
    assert after.restore(before.state())
    told += corpus.play(after, restarts_at)
    assert told == corpus.play(Detector())
    assert [phase for _, phase in phases(told, Series.BLOCKS)] == [Phase.OPEN, Phase.RECOVERED]


def test_a_state_of_another_version_or_one_that_is_broken_is_a_clean_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus, detector = grown(3.0), Detector()
    corpus.play(detector, until=FAULT + 60)
    saved = detector.state()
    assert not Detector().restore(saved[: len(saved) // 2])
    assert not Detector().restore(b"")
    monkeypatch.setattr(state_module, "VERSION", 2)
    fresh = Detector()
    assert not fresh.restore(saved)
    assert fresh.open == ()
    assert corpus.play(fresh, FAULT + 60, FAULT + 70) == []


def test_the_memory_of_two_hundred_statements_is_small() -> None:
    corpus, detector = healthy(1, days=0.2, rates=(10.0, 60.0), each=100), Detector()
    corpus.play(detector)
    assert detector.nbytes < 260_000
    assert len(detector.state()) < 150_000


def test_statements_come_and_go_and_the_others_keep_what_is_known() -> None:
    corpus, detector = grown(3.0), Detector()
    told = []
    for minute in range(FAULT + 30):
        intervals = corpus.intervals(minute)
        if minute % 7 == 0:  # another one is tracked for a while, before ours
            wider = steady(days=0.001, count=2).intervals(0)
            ids = np.array([5, 1000])
            for name in wider.values.columns:
                wider.values.columns[name] = np.array([1.0, intervals.values[name][0]])
            wider.statements.columns["queryid"] = ids
            intervals = replace(wider, since=intervals.since, until=intervals.until)
        told += detector.take(intervals)
    assert [(shift.series, shift.statement.queryid) for shift in told] == [(Series.TIME, 1000)]


def test_resets_every_twenty_minutes_neither_raise_a_shift_nor_hide_one() -> None:
    corpus = grown(3.0, blocks=True)
    for minute in range(19, corpus.readings, 20):
        corpus.gap(minute, minute + 1)
    told = corpus.play(Detector())
    assert {shift.series for _, shift in told} == {Series.TIME, Series.BLOCKS}
    assert all(FAULT <= minute <= FAULT + 20 for minute, _ in told)


def test_a_statement_that_comes_with_a_deploy_or_under_another_id_raises_nothing() -> None:
    """It is slower than what was in its row before; both have a baseline of their own, the new one a young one."""
    corpus, detector = steady(days=0.4, count=2), Detector()
    corpus.slower([1], FAULT, None, 5.0, blocks=True)
    told = []
    for minute in range(FAULT + 150):
        intervals = corpus.intervals(minute)
        if minute >= FAULT:
            intervals.statements.columns["queryid"] = np.array([1000, 77])
        told += detector.take(intervals)
    assert told == []
    assert detector.verdict(intervals.keys[1]) is Verdict.LEARNING
