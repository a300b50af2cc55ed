"""The care of the store in a running daemon: what it says, and when it takes it back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from daemon.board import Board
from daemon.clock import Ticker, system_now
from daemon.housekeeping import Housekeeping
from daemon.lanes.pool import Pool
from pgvigil.model.incident import State, Transition
from pgvigil.store import Store
from pgvigil.store.care import Keep
from tests.support.disks import fill
from tests.support.polling import poll
from tests.support.views import T0, incident


@pytest.fixture
def pool() -> Iterator[Pool]:
    running = Pool("tests", system_now, core=1, most=1)
    yield running
    running.stop(5)


def keep() -> Keep:
    return Keep(resolved_since=T0, targets=frozenset({"orders-prod"}))


def test_a_store_that_breaks_while_it_runs_is_noticed_by_the_next_copy(
    store: Store, path: Path, pool: Pool
) -> None:
    board = Board()
    store.texts.put("orders", {(1, 2, queryid): "x" * 4000 for queryid in range(2000)})
    housekeeping = Housekeeping(store, board, pool, keep)
    housekeeping.copy()
    assert board.problems == ()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 4))
    with structlog.testing.capture_logs() as events:
        housekeeping.copy()
        housekeeping.copy()
    (problem,) = board.problems
    assert problem.slug == "store-damaged"
    assert problem.fix.startswith("Restart pgvigil: it goes on from the copy of 20")
    assert len([event for event in events if event["event"] == "setup_problem"]) == 1


def test_a_copy_without_room_is_a_problem_until_there_is_room(small_disk: Path, pool: Pool) -> None:
    store, board = Store.open(f"sqlite:///{small_disk}/pgvigil.db"), Board()
    housekeeping = Housekeeping(store, board, pool, keep)
    ballast = fill(small_disk)
    housekeeping.copy()
    assert [problem.slug for problem in board.problems] == ["store-not-copied"]
    ballast.unlink()
    housekeeping.copy()
    assert board.problems == ()
    assert housekeeping.figures.copied_at is not None
    assert housekeeping.figures.size_bytes == store.size_bytes
    store.close()


def test_pruning_follows_the_settings_of_now(store: Store, pool: Pool) -> None:
    for number in range(2):
        ended = T0 + timedelta(days=number)
        one = incident(id=0, subject=str(number), state=State.RESOLVED, resolved_at=ended)
        store.incidents.commit([Transition("opened", None, one)], [])
    since = [T0]
    housekeeping = Housekeeping(
        store, Board(), pool, lambda: Keep(resolved_since=since[0], targets=frozenset())
    )
    housekeeping.prune()
    assert len(store.incidents.list()) == 2
    since[0] = T0 + timedelta(hours=1)
    housekeeping.prune()
    assert len(store.incidents.list()) == 1


def test_it_measures_at_once_and_copies_soon(
    store: Store, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.housekeeping.FIRST_COPY_S", 0.2)
    ticker = Ticker(system_now)
    housekeeping = Housekeeping(store, Board(), pool, keep)
    housekeeping.start(ticker)
    ticker.start()
    poll(lambda: housekeeping.figures.size_bytes, 5)
    poll(lambda: housekeeping.figures.copied_at, 5)
    ticker.stop()
    assert store.last_copy is not None
