"""Real servers under load, with faults at known times: each true one is found on its statement, and nothing else is."""

from dataclasses import dataclass

import pytest

from queries.detection.detector import Detector
from queries.detection.shifts import Phase, Series, Shift
from queries.tracked import Tracked
from tests.support.corpus import replay

MAJORS = (15, 18)


@dataclass
class Played:
    trace: replay.Trace
    told: list[tuple[int, str, Shift]]

    def opened(self, series: Series) -> list[tuple[str, int]]:
        """On which statement, and at which reading."""
        return [
            (name, reading)
            for reading, name, shift in self.told
            if shift.series is series and shift.phase is Phase.OPEN
        ]

    def begins(self, fault: str) -> int:
        return next(begins for name, begins, _ in self.trace.faults if name == fault)


@pytest.fixture(scope="module", params=MAJORS)
def played(request: pytest.FixtureRequest) -> Played:
    trace = replay.load(request.param)
    tracked, detector = Tracked(), Detector()
    told = [
        (reading, trace.names.get(shift.statement.queryid, "another"), shift)
        for reading, delta in enumerate(trace.deltas())
        for shift in detector.take(tracked.take(delta))
    ]
    return Played(trace, told)


def test_blocks_find_the_dropped_index_and_the_grown_table_and_nothing_else(played: Played) -> None:
    opened = played.opened(Series.BLOCKS)
    assert [name for name, _ in opened] == ["orders", "events"]
    dropped, grown = (reading for _, reading in opened)
    assert 0 <= dropped - played.begins("index dropped") <= 5
    assert 0 <= grown - played.begins("table grown") <= 15


def test_the_index_that_came_back_is_a_recovery_and_the_grown_table_is_none(played: Played) -> None:
    recovered = [
        (name, reading)
        for reading, name, shift in played.told
        if shift.series is Series.BLOCKS and shift.phase is Phase.RECOVERED
    ]
    ((name, reading),) = recovered
    assert name == "orders"
    assert 310 <= reading <= 335
    (over,) = [
        shift
        for _, _, shift in played.told
        if shift.series is Series.BLOCKS and shift.phase is Phase.RECOVERED
    ]
    assert (over.before, over.now) == (pytest.approx(12, rel=0.05), pytest.approx(12, rel=0.05))


def test_times_move_where_the_index_went_and_where_the_rows_were_locked(played: Played) -> None:
    """`counter` waits for its rows and its blocks stay what they were: contention, no plan. Bursts and checkpoints are nothing."""
    opened = played.opened(Series.TIME)
    assert [name for name, _ in opened] == ["orders", "counter"]
    dropped, contended = (reading for _, reading in opened)
    assert 0 <= dropped - played.begins("index dropped") <= 10
    assert 0 <= contended - played.begins("lock contention") <= 10


def test_a_lowered_work_mem_is_seen_in_temporary_blocks_from_ten_megabytes_a_minute(played: Played) -> None:
    """The trace of 18 spills 9 MB in its minutes."""
    opened = played.opened(Series.TEMP)
    if played.trace.version.startswith("18"):
        assert opened == []
    else:
        ((name, reading),) = opened
        assert name == "sorted"
        assert 0 <= reading - played.begins("work_mem lowered") <= 20


def test_calls_and_rows_per_call_have_not_moved(played: Played) -> None:
    assert (played.opened(Series.CALLS), played.opened(Series.ROWS)) == ([], [])
