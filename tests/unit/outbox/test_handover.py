"""A sink's worker is replaced: the new one takes the rows when no call of the old one is left."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from alerts.outbox.limits import OutboxLimits
from alerts.outbox.worker import OutboxWorker
from pgvigil.store import Store
from tests.support.destination import Destination
from tests.support.polling import poll
from tests.unit.outbox.test_worker import Slow, fire, now, settled


class Closing(Destination):
    """Tells when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


Make = Callable[..., OutboxWorker]


@pytest.fixture
def make(store: Store) -> Iterator[Make]:
    workers = []

    def build(sink: Any) -> OutboxWorker:
        limits = OutboxLimits(between_calls_s=0.0)
        worker = OutboxWorker("oncall", sink, store, now, limits, on_event=lambda *_: None)
        workers.append(worker)
        return worker

    yield build
    for worker in workers:
        worker.stop(0)


def test_the_new_worker_waits_for_the_call_of_the_old_one(store: Store, make: Make) -> None:
    """So there is one message, and no doubt about it."""
    fire(store)
    slow, after = Slow(), Destination()
    old, new = make(slow), make(after)
    old.start()
    assert slow.called.wait(5)
    new.start(old.ended)
    old.retire()
    fire(store, "b")
    new.wake()
    assert not new.ended.wait(0.5)
    assert after.calls == []
    slow.answer.set()
    poll(lambda: settled(store, 2), 5)
    assert (len(slow.messages), len(after.messages)) == (1, 1)
    assert old.ended.is_set()


def test_one_that_is_replaced_while_it_waits_hands_the_waiting_on(store: Store, make: Make) -> None:
    fire(store)
    slow, between, last = Slow(), Closing(), Destination()
    first, second, third = make(slow), make(between), make(last)
    first.start()
    assert slow.called.wait(5)
    second.start(first.ended)
    first.retire()
    third.start(second.ended)
    second.retire()
    assert not second.ended.wait(0.5), "the first one's call is still under way"
    slow.answer.set()
    assert second.ended.wait(5)
    assert (between.calls, between.closed) == ([], 1)
    fire(store, "b")
    third.wake()
    poll(lambda: settled(store, 2), 5)


def test_the_end_does_not_wait_for_a_worker_that_waits(store: Store, make: Make) -> None:
    fire(store)
    slow = Slow()
    old, new = make(slow), make(Destination())
    old.start()
    assert slow.called.wait(5)
    new.start(old.ended)
    old.retire()
    assert new.stop(0.0)
    slow.answer.set()


def test_a_sink_is_closed_once_whether_its_worker_ever_ran_or_not(store: Store, make: Make) -> None:
    ran, never = Closing(), Closing()
    running, idle = make(ran), make(never)
    running.start()
    running.retire()
    assert running.ended.wait(5)
    idle.retire()
    assert (ran.closed, never.closed) == (1, 1)


def test_a_thread_that_cannot_be_had_leaves_nothing(
    store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sink = Closing()
    worker = make(sink)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        worker.start()
    assert sink.closed == 1
