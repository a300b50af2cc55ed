"""What targets remember is kept in the store, and a store that fails costs nothing else."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from collectors.settings import COLLECTOR
from daemon.clock import Ticker, system_now
from daemon.lanes.pool import Pool
from daemon.memory import Memory
from daemon.remembering import Remembering
from pgvigil.model.series import Sample
from pgvigil.store import Store
from pgvigil.store.care import Keep
from tests.support.disks import fill
from tests.support.polling import poll
from tests.support.readings import NOW, snapshot

BOTH = replace(
    COLLECTOR,
    name="both",
    series={"size": lambda rows: [Sample(key, float(value)) for key, value in rows.items()]},
    journal=lambda rows: rows,
)


@pytest.fixture
def pool() -> Iterator[Pool]:
    running = Pool("tests", system_now, core=1, most=1)
    yield running
    running.stop(5)


def read(memory: Memory, rows: Mapping[str, Any], seconds: float, cluster: int = 7) -> None:
    memory.take(replace(snapshot(rows, "both"), taken_at=NOW + timedelta(seconds=seconds)), BOTH, cluster)


def of(store: Store, pool: Pool, *targets: str) -> tuple[Remembering, dict[str, Memory]]:
    memories: dict[str, Memory] = {}
    remembering = Remembering(store, pool, lambda: memories)
    memories.update({target: remembering.memory(target) for target in targets})
    return remembering, memories


def values(memory: Memory, key: str = "a") -> list[float]:
    return [point.value for point in memory.points("both", None, "size", key)]


def test_a_change_is_in_the_store_at_once_and_the_rest_later(store: Store, pool: Pool) -> None:
    remembering, memories = of(store, pool, "orders", "billing")
    for second, value in enumerate("12"):
        read(memories["orders"], {"a": value}, second)
    poll(lambda: store.history.load("orders").changes, 5, message="the change is written")
    assert store.history.load("orders").series == []
    remembering.save()
    _, again = of(store, pool, "orders", "billing")
    assert values(again["orders"]) == [1, 2]
    assert [each.new for each in again["orders"].changes("both", None)] == ["2"]
    assert values(again["billing"]) == []


def test_the_ticker_has_it_saved(store: Store, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.remembering.FIRST_SAVE_S", 0.1)
    remembering, memories = of(store, pool, "orders")
    read(memories["orders"], {"a": "1"}, 0)
    ticker = Ticker(system_now)
    remembering.start(ticker)
    ticker.start()
    poll(lambda: store.history.load("orders").series, 5, message="it is saved")
    ticker.stop()


def test_a_disk_that_is_full_is_said_once_and_costs_nothing_that_comes_after(
    small_disk: Path, pool: Pool
) -> None:
    """Not at the start either: what the store has is taken up before anything is written over it."""
    url = f"sqlite:///{small_disk}/pgvigil.db"
    with closing(Store.open(url)) as store:
        remembering, memories = of(store, pool, "orders")
        read(memories["orders"], {"a": "1"}, 0)
        remembering.save()
    ballast = fill(small_disk)
    with closing(Store.open(url)) as store, structlog.testing.capture_logs() as events:
        poll(lambda: store.in_memory_since, 5, message="the disk is known to be full")
        remembering, memories = of(store, pool, "orders", "billing")
        read(memories["orders"], {"a": "2"}, 60)
        remembering.save()
        assert values(memories["orders"]) == [2]
        assert [event["event"] for event in events] == ["history_not_kept"]
        ballast.unlink()
        poll(lambda: store.in_memory_since is None, 20, message="the disk is known to have room")
        remembering.save()
        assert values(memories["orders"]) == [1, 2]
        assert [each.new for each in memories["orders"].changes("both", None)] == ["2"]
        _, again = of(store, pool, "orders")
        assert values(again["orders"]) == [1, 2]


def test_many_targets_are_saved_in_several_transactions(
    store: Store, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.remembering.ROWS", 7)
    targets = [f"t{number}" for number in range(5)]
    remembering, memories = of(store, pool, *targets)
    for memory in memories.values():
        read(memory, {str(key): "1" for key in range(5)}, 0)
    remembering.save()
    _, again = of(store, pool, *targets)
    assert [values(memory, "4") for memory in again.values()] == [[1.0]] * 5


def test_a_journal_that_the_store_dropped_as_old_is_written_again(store: Store, pool: Pool) -> None:
    """A target that was away for longer than the store remembers, and says what it said."""
    remembering, memories = of(store, pool, "orders")
    read(memories["orders"], {"a": "1"}, 0)
    remembering.save()
    away_s = 31 * 86_400.0
    assert store.history.load("orders").journals
    now = NOW + timedelta(seconds=away_s)
    old = now - timedelta(days=30)
    store.prune(Keep(resolved_since=old, targets=frozenset({"orders"}), read_since=old))
    assert store.history.load("orders").journals == []
    read(memories["orders"], {"a": "1"}, away_s)
    remembering.save()
    (kept,) = store.history.load("orders").journals
    assert (kept.known, kept.seen_at) == ({"a": "1"}, now)


def test_what_is_forgotten_is_forgotten_in_the_store(store: Store, pool: Pool) -> None:
    remembering, memories = of(store, pool, "orders")
    for second, value in enumerate("12"):
        read(memories["orders"], {"a": value}, second)
    remembering.save()
    memories["orders"].forget("both")
    remembering.save()
    kept = store.history.load("orders")
    assert (kept.series, kept.journals) == ([], [])
    read(memories["orders"], {"b": "1"}, 60, cluster=8)
    remembering.save()
    kept = store.history.load("orders")
    assert (kept.cluster, [each.name.key for each in kept.series], kept.changes) == (8, ["b"], [])
