"""The thread: wakes at once, sleeps otherwise, ends in time, and tells whether it is alive."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.outbox.acts import acts
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.worker import OutboxWorker
from pgvigil.model.delivery import DeliveryFailure, DeliveryStatus, Want
from pgvigil.model.incident import Transition
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.store import Store
from tests.support.destination import Destination
from tests.support.polling import poll
from tests.support.views import incident


def now() -> Moment:
    return Moment(datetime.now(UTC), time.monotonic())


class Slow(Destination):
    """A destination whose calls last until `answer` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.called = threading.Event()
        self.answer = threading.Event()

    def perform(self, *arguments: Any, **named: Any) -> Mapping[str, str]:
        self.called.set()
        self.answer.wait(30)
        return super().perform(*arguments, **named)


Start = Callable[..., OutboxWorker]


@pytest.fixture
def start(store: Store) -> Iterator[Start]:
    workers = []

    def begin(sink: Destination, **limits: Any) -> OutboxWorker:
        worker = OutboxWorker("oncall", sink, store, now, OutboxLimits(**limits), on_event=lambda *_: None)
        workers.append(worker)
        worker.start()
        return worker

    yield begin
    for worker in workers:
        worker.stop(0)


def fire(store: Store, subject: str = "a") -> None:
    fired = incident(id=0, subject=subject, evaluated_at=now().utc)
    store.incidents.commit([Transition("fired", None, fired)], [Want(0, "oncall", Level.CRITICAL)])


def settled(store: Store, incident_id: int = 1) -> bool:
    row = store.deliveries.get(incident_id, "oncall")
    return row is not None and row.status is DeliveryStatus.SETTLED


def test_what_is_due_at_the_start_is_sent_without_being_woken(store: Store, start: Start) -> None:
    fire(store)
    start(Destination())
    poll(lambda: settled(store), 5)


def test_a_commit_is_told_as_soon_as_the_worker_is_woken(store: Store, start: Start) -> None:
    sink = Destination()
    worker = start(sink)
    poll(lambda: worker._idle, 5)
    fire(store)
    worker.wake()
    poll(lambda: settled(store), 5)
    assert len(sink.messages) == 1


def test_a_failed_call_is_repeated_without_being_woken(store: Store, start: Start) -> None:
    sink = Destination()
    sink.faults.extend([DeliveryFailure.TRANSIENT] * 3)
    fire(store)
    start(sink, transient_first_s=0.01, between_calls_s=0.0)
    poll(lambda: settled(store), 5)
    assert sink.calls == ["post"] * 4


def test_an_idle_worker_is_alive_and_one_in_a_call_grows_old(store: Store, start: Start) -> None:
    sink = Slow()
    worker = start(sink)
    poll(lambda: worker._idle, 5)
    poll(lambda: worker.age_s < 0.1, 5)
    fire(store)
    worker.wake()
    assert sink.called.wait(5)
    poll(lambda: worker.age_s > 0.1, 5)
    sink.answer.set()
    poll(lambda: worker._idle and worker.age_s < 0.1, 5)


def test_stopping_sends_what_is_due(store: Store, start: Start) -> None:
    sink = Destination()
    worker = start(sink, between_calls_s=0.05)
    for number in range(5):
        fire(store, str(number))
    assert worker.stop(10)
    assert len(sink.messages) == 5


def test_stopping_does_not_wait_for_a_destination_that_is_down(store: Store, start: Start) -> None:
    sink = Destination()
    sink.faults.extend([DeliveryFailure.TRANSIENT] * 1000)
    fire(store)
    worker = start(sink, transient_first_s=3600, transient_most_s=3600)
    poll(lambda: sink.calls, 5)
    began = time.monotonic()
    assert worker.stop(60)
    assert time.monotonic() - began < 30


def test_a_worker_that_is_not_answered_is_left_behind_and_its_row_is_in_doubt(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.outbox.worker._CALL_S", 0.2)
    sink = Slow()
    fire(store)
    worker = start(sink)
    assert sink.called.wait(5)
    assert not worker.stop(0.1)
    row = store.deliveries.get(1, "oncall")
    assert row is not None
    assert row.status is DeliveryStatus.SENDING
    sink.answer.set()


def test_a_dead_thread_is_not_taken_for_an_idle_one(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of the outbox itself must turn the health check red."""
    raised: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    worker = start(Destination())
    poll(lambda: worker._idle, 5)

    def broken() -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(worker._courier, "step", broken)
    worker.wake()
    poll(lambda: raised, 5)
    poll(lambda: worker.age_s > 0.1, 5)


def test_a_store_that_fails_is_tried_again(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also at the very start, when what was interrupted has yet to be put in doubt."""
    fire(store)
    row = store.deliveries.due("oncall", now().utc)[0]
    fired = store.incidents.get(1)
    assert fired is not None
    (post,) = acts(fired, row, can_edit=True, can_reply=True)
    store.deliveries.begin(row, post, fired, now().utc)
    monkeypatch.setattr(store._database, "_closed", True)
    worker = start(Destination(), store_retry_s=0.02, between_looks_s=0.01, between_calls_s=0.0)
    poll(lambda: worker._idle, 5)
    assert not settled(store)
    monkeypatch.setattr(store._database, "_closed", False)
    poll(lambda: settled(store), 5)


def test_the_counts_are_there_before_anything_happened(store: Store) -> None:
    worker = OutboxWorker("oncall", Destination(), store, now)
    stats = worker.stats()
    assert set(stats.outcomes) == {
        "ok",
        "rate_limited",
        "transient",
        "ambiguous",
        "rejected",
        "misconfigured",
        "gone",
        "bug",
    }
    assert sum(stats.outcomes.values()) == 0
    assert worker.age_s < 1
    assert worker.stop(0)
