"""The history of statements: written when it is old enough, bounded like all readings, coarse after a day."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog

from daemon.clock import system_now
from daemon.lanes.pool import Pool
from daemon.sampling import SampleLimits, Sampling
from daemon.statement_history import MANY, OPEN_S, chunks_of
from daemon.statements import FEED
from pgvigil.model.moment import Moment
from pgvigil.store import Store
from queries.history.series import points
from tests.support.intervals import ONE, TWO, interval
from tests.support.views import T0

EVER = T0 - timedelta(days=365)
LIMITS = SampleLimits(keep_s=7 * 86_400, most_bytes=10_000_000)


@pytest.fixture
def pool() -> Iterator[Pool]:
    running = Pool("tests", system_now, core=1, most=1)
    yield running
    running.stop(5)


class Kept:
    """A sampling that is told each minute what ran, at targets that exist by name only."""

    def __init__(self, store: Store, pool: Pool) -> None:
        self.store = store
        self.seconds = 0.0
        self.limits = LIMITS
        self.sampling = Sampling(store, pool, self.now, lambda: self.limits)

    def now(self) -> Moment:
        return Moment(T0 + timedelta(seconds=self.seconds), 1000.0 + self.seconds)

    def minutes(self, count: int, *targets: str) -> None:
        for _ in range(count):
            for target in targets or ("shop",):
                ran = replace(interval({ONE: 3, TWO: 1}, self.seconds), target=target)
                self.sampling.ran(ran, lambda *_key: None, {5: "crm"})
            self.seconds += 60

    def calls(self, target: str = "shop") -> list[float]:
        chunks = chunks_of(self.store.samples.of(target, FEED, EVER))
        return [point.sums["calls"] for point in points(chunks, ONE)]


def test_what_ran_is_written_every_half_hour_and_at_the_end(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.minutes(int(OPEN_S / 60) - 1)
    kept.sampling.write()
    assert kept.calls() == []
    kept.minutes(1)
    kept.sampling.write()
    assert kept.calls() == [3.0] * 30
    kept.minutes(2)
    kept.sampling.write(whole=True)
    assert kept.calls() == [3.0] * 32


def test_after_a_day_it_is_half_hours_and_everything_is_still_in_them(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.minutes(60)
    kept.sampling.write(whole=True)
    before = store.samples.size_bytes()
    kept.seconds += 86_460
    kept.sampling.write()
    assert kept.calls() == [90.0, 90.0]
    assert store.samples.size_bytes() <= before
    (block,) = store.samples.of("shop", FEED, EVER)
    assert block.coarse


def test_the_cap_of_all_readings_holds_for_it(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    for _ in range(20):
        kept.minutes(30)
        kept.limits = SampleLimits(keep_s=7 * 86_400, most_bytes=40_000)
        kept.sampling.write(whole=True)
        assert store.samples.size_bytes() <= 40_000
    assert 30 <= len(kept.calls()) < 600


def test_nothing_is_kept_where_readings_are_not(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.limits = SampleLimits(keep_s=0, most_bytes=0)
    kept.minutes(40)
    kept.sampling.write(whole=True)
    assert kept.calls() == []


def test_of_many_targets_longer_intervals_are_kept(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.minutes(30, *(f"t{number}" for number in range(MANY + 1)))
    kept.sampling.write(whole=True)
    assert kept.calls(f"t{MANY}") == [15.0] * 6
    assert sum(kept.calls("t0")) == 90


def test_a_wall_clock_that_goes_back_begins_a_new_block(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.minutes(10)
    kept.seconds -= 300
    kept.minutes(3)
    kept.sampling.write(whole=True)
    assert len(list(store.samples.of("shop", FEED, EVER))) == 2
    assert len(kept.calls()) == 13


def test_a_damaged_block_costs_only_itself(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.minutes(30)
    kept.sampling.write(whole=True)
    kept.minutes(30)
    kept.sampling.write(whole=True)
    first, _ = store.samples.of("shop", FEED, EVER)
    store.samples.replace([replace(first, data=first.data[:50])])
    with structlog.testing.capture_logs() as events:
        assert len(kept.calls()) == 30
        kept.seconds += 86_460
        kept.sampling.write()
    assert {event["event"] for event in events} == {"statements_unreadable"}
    assert kept.calls() == [90.0]
