"""Readings are kept for rules to be tried on: exactly, within a budget, coarser when old, and never at a lane's cost."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from collectors.activity import COLLECTOR as ACTIVITY
from collectors.lock_waits import COLLECTOR as LOCK_WAITS
from collectors.prepared_transactions import COLLECTOR, PreparedTransaction
from daemon.clock import system_now
from daemon.lanes.pool import Pool
from daemon.rehearsal.blocks import COARSE_S, taken
from daemon.sampling import MOST_PER_S, SampleLimits, Sampling
from pgvigil.columns import packed, unpacked
from pgvigil.model.facts import Facts
from pgvigil.model.moment import Moment
from pgvigil.store import Store
from tests.support.disks import fill
from tests.support.polling import poll
from tests.support.readings import NOW, activity, session, snapshot, wait_graph
from tests.support.views import facts

LIMITS = SampleLimits(keep_s=7 * 86_400, most_bytes=10_000_000)
EVER = NOW - timedelta(days=365)
FACTS = facts(settings={"track_io_timing": "on"}, extensions={"pgstattuple": ("public", "1.5")})


@pytest.fixture
def pool() -> Iterator[Pool]:
    running = Pool("tests", system_now, core=1, most=1)
    yield running
    running.stop(5)


def prepared(age_s: float, gid: str = "tx-1") -> PreparedTransaction:
    since = NOW - timedelta(hours=1)
    return PreparedTransaction(gid, "ana", "shop", 5, since, age_s, 7, 1, "RowShareLock", [16412])


class Kept:
    """A sampling whose clock is moved by hand."""

    def __init__(self, store: Store, pool: Pool, limits: SampleLimits = LIMITS) -> None:
        self.store = store
        self.seconds = 0.0
        self.limits = limits
        self.sampling = Sampling(store, pool, self.now, lambda: self.limits)

    def now(self) -> Moment:
        return Moment(NOW + timedelta(seconds=self.seconds), 1000.0 + self.seconds)

    def read(
        self, *rows: PreparedTransaction, after_s: float = 60, target: str = "orders", of: Facts = FACTS
    ) -> None:
        self.seconds += after_s
        moment = self.now()
        plain = snapshot(rows, COLLECTOR.name)
        one = replace(plain, target=target, taken_at=moment.utc, mono_s=moment.mono_s)
        self.sampling.take(one, COLLECTOR, of)

    def kept(self, target: str = "orders") -> list[tuple[datetime, Any]]:
        blocks = self.store.samples.of(target, COLLECTOR.name, EVER)
        return [(one.at, one.payload) for block in blocks for one in taken(block, COLLECTOR)]


def test_readings_come_back_as_they_were_with_what_was_known_of_the_server(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    for age_s in (1.25, 61.25, 61.25):
        kept.read(prepared(age_s), prepared(age_s, "tx-2"))
    kept.read(of=replace(FACTS, in_recovery=True))
    kept.sampling.write(whole=True)
    assert [rows for _, rows in kept.kept()] == [
        *(((prepared(age_s), prepared(age_s, "tx-2"))) for age_s in (1.25, 61.25, 61.25)),
        (),
    ]
    assert [at for at, _ in kept.kept()] == [NOW + timedelta(minutes=n) for n in (1, 2, 3, 4)]
    first, second = store.samples.of("orders", COLLECTOR.name, EVER)
    assert (first.readings, first.every_s) == (3, 60.0)
    assert [one.facts.in_recovery for block in (first, second) for one in taken(block, COLLECTOR)] == [
        False
    ] * 3 + [True]
    assert next(taken(first, COLLECTOR)).facts.settings == {"track_io_timing": "on"}


def test_what_statements_hold_of_data_is_not_written(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.sampling.take(snapshot(activity(session()), "activity"), ACTIVITY, FACTS)
    kept.sampling.take(snapshot(wait_graph({8123: (1,)}), "lock_waits"), LOCK_WAITS, FACTS)
    kept.sampling.write(whole=True)
    for collector in (ACTIVITY, LOCK_WAITS):
        [block] = store.samples.of("orders-prod", collector.name, EVER)
        text = str(unpacked(block.data))
        assert ("WHERE" in text, "4111" in text) == (True, False)


def test_a_block_is_written_when_it_is_full_or_old_enough(
    store: Store, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.sampling.MOST_READINGS", 3)
    kept = Kept(store, pool)
    for number in range(4):
        kept.read(prepared(number))
    kept.sampling.write()
    assert len(kept.kept()) == 3
    kept.seconds += 1800
    kept.sampling.write()
    assert len(kept.kept()) == 4


def test_many_targets_share_one_budget(store: Store, pool: Pool) -> None:
    """A second's readings of 400 things are kept once in 40 s each."""
    kept = Kept(store, pool)
    for _ in range(80):
        for number in range(400):
            kept.read(prepared(1), after_s=1 / 400, target=f"t{number}")
    kept.sampling.write(whole=True)
    found = sum(len(kept.kept(f"t{number}")) for number in range(400))
    assert found <= 400 + 80 * MOST_PER_S
    assert found >= 800


def test_with_more_than_can_be_kept_the_targets_take_turns(
    store: Store, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of them at a time, half an hour each; in two hours all had theirs."""
    monkeypatch.setattr("daemon.sampling.MOST_PLACES", 10)
    kept, names = Kept(store, pool), [f"t{number}" for number in range(40)]
    at_once: list[int] = []
    for _ in range(5):
        for _ in range(30):
            for name in names:
                kept.read(prepared(kept.seconds), after_s=60 / 40, target=name)
        kept.sampling.write()
        at_once.append(len(kept.sampling._open))
    kept.sampling.write(whole=True)
    assert max(at_once[1:]) <= 25
    counts = [len(kept.kept(name)) for name in names]
    assert min(counts) >= 25
    assert sum(counts) <= 5 * 30 * 20


def test_all_that_ends_at_once_is_packed_little_by_little_and_nothing_is_lost(
    store: Store, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.sampling.MOST_ENDS", 10)
    kept, names = Kept(store, pool), [f"t{number}" for number in range(25)]
    for name in names:
        kept.read(prepared(1), after_s=0, target=name)
    kept.sampling.write()
    kept.seconds += 1800
    written = []
    for _ in range(3):
        kept.sampling.write()
        written.append(sum(len(kept.kept(name)) for name in names))
    assert written == [10, 20, 25]


def test_what_waits_to_be_packed_has_a_bound(
    store: Store, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.sampling.MOST_OPEN_BYTES", 2000)
    monkeypatch.setattr("daemon.sampling.MOST_ENDS", 0)
    kept = Kept(store, pool)
    for number in range(100):
        kept.read(prepared(number, f"tx-{number}"))
    kept.sampling.write()
    assert 2000 <= kept.sampling._open_bytes < 2500
    kept.sampling.write(whole=True)
    assert 10 < len(kept.kept()) < 50


def test_after_a_day_readings_are_five_minutes_apart_and_the_rest_is_as_before(
    store: Store, pool: Pool
) -> None:
    kept = Kept(store, pool)
    for number in range(20):
        kept.read(prepared(number))
    kept.sampling.write(whole=True)
    kept.seconds += 86_400 + 3600
    kept.sampling.write()
    assert [rows[0].age_s for _, rows in kept.kept()] == [0, 5, 10, 15]
    [block] = store.samples.of("orders", COLLECTOR.name, EVER)
    assert (block.coarse, block.every_s, block.readings) == (True, COARSE_S, 4)


def test_a_damaged_block_is_left_as_it_is_and_the_others_get_coarser(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    for target in ("orders", "billing"):
        for number in range(20):
            kept.read(prepared(number), target=target)
    kept.sampling.write(whole=True)
    [sound] = store.samples.of("billing", COLLECTOR.name, EVER)
    for number, data in enumerate((sound.data[:-9], b"", packed([7]), packed([{"at": [], "which": []}]))):
        store.samples.add(
            [replace(sound, target=f"damaged-{number}", data=data)], since=EVER, most_bytes=10_000_000
        )
    kept.seconds += 86_400 + 3600
    kept.sampling.write()
    assert len(kept.kept()) == len(kept.kept("billing")) == 4
    assert store.samples.fine(kept.now().utc, 10) == []


def test_limits_hold_also_where_nothing_comes_any_more(store: Store, pool: Pool) -> None:
    """What is too old goes within the hour; a history that is switched off, or made smaller, at once."""
    kept = Kept(store, pool)
    for number in range(3):
        kept.read(prepared(number))
    kept.sampling.write(whole=True)
    kept.seconds += 8 * 86_400
    kept.sampling.write()
    assert store.samples.size_bytes() == 0
    for off in (SampleLimits(0, 1000), SampleLimits(1000, 0)):
        kept.limits = LIMITS
        kept.read(prepared(4))
        kept.sampling.write(whole=True)
        assert store.samples.size_bytes() > 0
        kept.limits = off
        kept.sampling.write()
        assert store.samples.size_bytes() == 0


def test_nothing_is_kept_where_nothing_is_wanted(store: Store, pool: Pool) -> None:
    for limits in (SampleLimits(0, 1000), SampleLimits(1000, 0)):
        kept = Kept(store, pool, limits)
        kept.read(prepared(1))
        kept.sampling.write(whole=True)
        assert kept.kept() == []


def test_what_cannot_be_written_costs_that_reading_only(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.read(prepared(1, "\udcff"))
    kept.read(prepared(2))
    kept.sampling.write(whole=True)
    assert [rows for _, rows in kept.kept()] == [(prepared(2),)]


def test_a_clock_that_was_set_back_begins_a_block_of_its_own(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.read(prepared(1))
    kept.sampling._kept_at_s.clear()  # by the monotonic clock it is later
    kept.read(prepared(2), after_s=-600)
    kept.sampling.write(whole=True)
    assert [rows[0].age_s for _, rows in kept.kept()] == [2, 1]


def test_a_block_of_another_form_is_told_from_one_that_can_be_read(store: Store, pool: Pool) -> None:
    kept = Kept(store, pool)
    kept.read(prepared(1))
    kept.sampling.write(whole=True)
    [block] = store.samples.of("orders", COLLECTOR.name, EVER)
    for content in ({}, {"facts": {}, "at": [1], "which": [0], "rows": [[[1]]]}):
        with pytest.raises(ValueError, match="another form"):
            list(taken(replace(block, data=packed([content])), COLLECTOR))


def test_a_full_disk_loses_nothing_that_fits_into_memory_and_is_said_once(
    small_disk: Path, pool: Pool
) -> None:
    with closing(Store.open(f"sqlite:///{small_disk}/pgvigil.db")) as store:
        kept = Kept(store, pool)
        ballast = fill(small_disk)
        with structlog.testing.capture_logs() as events:
            for number in range(2):
                kept.read(prepared(number))
                kept.sampling.write(whole=True)
        assert [event["event"] for event in events].count("samples_not_kept") == 1
        ballast.unlink()
        poll(lambda: store.in_memory_since is None, 10, message="the disk takes writes again")
        kept.sampling.write(whole=True)
        assert len(kept.kept()) == 2
