"""What is in force is shown of every reading, also of one that nothing new is known of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.board import Board, TargetView
from daemon.pacing import MOST
from daemon.reading import Scheduled
from daemon.recorder import Recorder
from daemon.settings.plugins import Plugins
from daemon.setup import Setup
from daemon.stretching import Stretching
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Snapshot

T0 = datetime(2026, 11, 23, tzinfo=UTC)
REFUSED = Failure(FailureKind.TOO_MANY_CONNECTIONS, "sorry, too many clients already")


def at(seconds: float) -> Moment:
    return Moment(T0 + timedelta(seconds=seconds), 1000.0 + seconds)


class Shop:
    """A target with its account; `settle` as the daemon does every few seconds."""

    def __init__(self) -> None:
        self.recorder = Recorder(TargetView(name="shop", labels={}), Board())
        self.stretching = Stretching("shop", self.recorder, Setup("shop", self.recorder, dict))
        every = Plugins.installed().collectors
        self.scheduled = {
            name: Scheduled(every[name], every[name].interval_s) for name in ("wal", "table_stats")
        }

    def settle(self, seconds: float) -> None:
        self.stretching.settle(self.scheduled, at(seconds))
        self.recorder.publish()

    def refused(self, seconds: float) -> None:
        self.stretching.failed("wal", None, REFUSED, at(seconds))

    @property
    def factors(self) -> dict[tuple[str, str | None], int]:
        views = self.recorder.view.collectors
        return {(one.collector, one.database): one.stretch for one in views}


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.recorder.expect("wal", None, 60.0, at(0))
    shop.recorder.expect("table_stats", "app", 600.0, at(0))
    shop.settle(0)
    return shop


def test_a_busy_target_stretches_what_was_not_read_since(shop: Shop) -> None:
    shop.refused(5)
    shop.settle(6)
    assert shop.factors == {("wal", None): 2, ("table_stats", "app"): 2}
    assert shop.recorder.view.stretch.factor == 2


def test_a_database_that_appears_meanwhile_is_awaited_as_late_as_the_others(shop: Shop) -> None:
    shop.refused(5)
    shop.settle(6)
    shop.recorder.expect("table_stats", "new", 600.0, at(7))
    shop.settle(11)
    assert shop.factors["table_stats", "new"] == 2


def test_all_come_back_when_it_is_quiet(shop: Shop) -> None:
    for seconds in (0, 20, 40):
        shop.refused(seconds)
        shop.settle(seconds)
    assert set(shop.factors.values()) == {MOST}
    for seconds in range(45, 400, 5):
        shop.settle(seconds)
    assert set(shop.factors.values()) == {1}


def test_a_new_interval_is_weighed_at_once(shop: Shop) -> None:
    """What reading takes is too much for a shorter interval, and that is known without another reading."""
    table_stats = shop.scheduled["table_stats"]
    snapshot = Snapshot(
        target="shop",
        collector="table_stats",
        database="app",
        taken_at=T0,
        mono_s=1000.0,
        duration_s=5.0,
        interval_s=table_stats.interval_s,
        rows=None,
    )
    shop.stretching.succeeded(table_stats, snapshot)
    shop.settle(10)
    assert shop.factors["table_stats", "app"] == 1
    shop.scheduled = shop.scheduled | {"table_stats": replace(table_stats, interval_s=120.0)}
    shop.settle(15)
    assert shop.factors["table_stats", "app"] == 5
