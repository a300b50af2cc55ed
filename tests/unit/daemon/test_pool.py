"""Workers for lanes: nothing waits behind work that is stuck."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from daemon.clock import system_now
from daemon.lanes.pool import Pool
from pgvigil.model.moment import Moment


class Held:
    """Work that holds its worker until it is let go."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.release = threading.Event()

    def work(self) -> None:
        self.started.set()
        assert self.release.wait(10)


class Quick:
    def __init__(self) -> None:
        self.done = threading.Event()

    def work(self) -> None:
        self.done.set()


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool("test", system_now, core=2, most=6, patience_s=0.05)
    yield pool
    assert pool.stop(5)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_stuck_workers_are_relieved(pool: Pool) -> None:
    """More stuck work than core threads does not keep healthy work waiting, once the supervisor looked."""
    stuck = [Held() for _ in range(4)]
    quick = Quick()
    for work in (*stuck, quick):
        pool.submit(work)

    def relieved() -> bool:
        pool.relieve()
        return quick.done.is_set()

    until(relieved)
    assert all(held.started.is_set() for held in stuck)
    for held in stuck:
        held.release.set()


def test_spare_threads_are_bounded(pool: Pool) -> None:
    stuck = [Held() for _ in range(20)]
    for held in stuck:
        pool.submit(held)
        held.release.clear()
    until(lambda: (pool.relieve(), sum(held.started.is_set() for held in stuck) == 6)[1])
    pool.relieve()
    assert pool.threads == 6
    for held in stuck:
        held.release.set()
    until(lambda: all(held.started.is_set() for held in stuck))


def test_spare_threads_leave_though_there_is_always_some_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work goes to whoever became idle last, so that the others come to rest."""
    monkeypatch.setattr("daemon.lanes.pool.REST_S", 0.2)
    pool = Pool("test", system_now, core=1, most=4, patience_s=0.0)
    stuck = [Held() for _ in range(4)]
    for held in stuck:
        pool.submit(held)
    until(lambda: (pool.relieve(), all(held.started.is_set() for held in stuck))[1])
    assert pool.threads == 4
    for held in stuck:
        held.release.set()

    def working() -> bool:
        quick = Quick()
        pool.submit(quick)
        assert quick.done.wait(5)
        return pool.threads == 1

    until(working)
    assert pool.stop(5)


def test_more_threads_are_no_help_when_there_is_no_cpu_left() -> None:
    """Late work gets no thread then, but for each worker that waits for a server."""
    used_s, clock_s = [0.0], [0.0]
    pool = Pool(
        "test",
        lambda: Moment(datetime.now(UTC), clock_s[0]),
        core=1,
        most=4,
        patience_s=0.1,
        cpu_s=lambda: used_s[0],
    )
    stuck = [Held() for _ in range(3)]
    pool.submit(stuck[0])
    assert stuck[0].started.wait(5)
    for held in stuck[1:]:
        pool.submit(held)
    clock_s[0], used_s[0] = 0.5, 0.5
    pool.relieve()
    assert pool.threads == 1
    clock_s[0], used_s[0] = 1.5, 1.5
    pool.relieve()
    assert pool.threads == 2
    clock_s[0] = 2.0
    pool.relieve()
    assert pool.threads == 3
    for held in stuck:
        held.release.set()
    assert pool.stop(5)


def test_waiting_time_is_told(pool: Pool) -> None:
    stuck = [Held() for _ in range(3)]
    for held in stuck:
        pool.submit(held)
    until(lambda: pool.longest_wait_s > 0)
    for held in stuck:
        held.release.set()
    until(lambda: pool.longest_wait_s == 0)


def test_a_thread_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of threads for a while: nothing is raised to who submits, nothing is lost, and the pool can still stop."""
    pool = Pool("test", system_now, core=1, most=1, patience_s=0.0)
    quick = Quick()
    with monkeypatch.context() as refusing:
        refusing.setattr(threading.Thread, "start", _refuse)
        pool.submit(quick)
        pool.relieve()
    assert pool.threads == 0
    pool.relieve()
    assert quick.done.wait(5)
    assert pool.stop(5)


def _refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
