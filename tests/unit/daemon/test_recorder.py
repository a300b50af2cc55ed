"""What is late, by which interval."""

from datetime import UTC, datetime, timedelta

import pytest

from daemon.board import Board, TargetView
from daemon.recorder import Recorder
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.moment import Moment

T0 = datetime(2026, 11, 23, tzinfo=UTC)


def at(seconds: float) -> Moment:
    return Moment(T0 + timedelta(seconds=seconds), 1000.0 + seconds)


@pytest.fixture
def recorder() -> Recorder:
    """One collector, due every minute, read at second 0."""
    recorder = Recorder(TargetView(name="shop", labels={}), Board())
    recorder.expect("wal", None, 60.0, at(-60))
    recorder.succeeded("wal", None, 0.01, at(0))
    return recorder


def missed(recorder: Recorder, seconds: float) -> float:
    (row,) = recorder.freshness(at(seconds))
    return row.missed


def test_staleness_counts_from_the_stretched_interval(recorder: Recorder) -> None:
    recorder.pace("wal", None, 8, "busy", at(30))
    recorder.publish()
    (shown,) = recorder.view.collectors
    assert (shown.interval_s, shown.configured_interval_s, shown.stretch_reason) == (480.0, 60.0, "busy")
    assert missed(recorder, 480) <= 1.0
    assert missed(recorder, 30 + 4 * 480) == pytest.approx(3.5)


def test_what_was_missed_stays_missed_when_the_pace_changes(recorder: Recorder) -> None:
    """Otherwise an incident of staleness would resolve because the target got busy."""
    recorder.failed("wal", None, Failure(FailureKind.PRIVILEGE, "denied"))
    before = missed(recorder, 300)
    recorder.pace("wal", None, 8, "busy", at(300))
    assert missed(recorder, 300) == pytest.approx(before) == pytest.approx(4.0)
    recorder.pace("wal", None, 1, "", at(310))
    assert missed(recorder, 310) == pytest.approx(before + 10 / 480)


def test_an_interval_that_shrinks_makes_nothing_late_at_once(recorder: Recorder) -> None:
    recorder.pace("wal", None, 8, "busy", at(0))
    recorder.pace("wal", None, 1, "", at(400))
    assert missed(recorder, 400) == 0.0
    assert missed(recorder, 400 + 60) < 1.0


def test_a_configured_interval_counts_anew_and_keeps_the_stretch(recorder: Recorder) -> None:
    recorder.pace("wal", None, 4, "busy", at(0))
    recorder.expect("wal", None, 60.0, at(1000))
    assert missed(recorder, 1000) > 3.0, "nothing is different"
    recorder.expect("wal", None, 10.0, at(1000))
    recorder.publish()
    assert recorder.view.collectors[0].interval_s == 40.0
    assert missed(recorder, 1040) == 0.0


def test_what_could_not_be_asked_is_not_late(recorder: Recorder) -> None:
    recorder.resumed(at(600))
    assert missed(recorder, 660) == 0.0
