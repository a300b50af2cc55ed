"""The store fails, the process ends, other destinations work: what was sent is never forgotten."""

from datetime import timedelta

import pytest

from alerts.outbox.hooks import Interrupted
from pgvigil.model.delivery import Act, ActKind, DeliveryFailure, DeliveryStatus, Want
from pgvigil.model.incident import State, Transition
from pgvigil.model.level import Level
from pgvigil.store import Store, StoreError
from tests.support.outbox import Rig

CRITICAL, WARNING = Level.CRITICAL, Level.WARNING
SETTLED, AMBIGUOUS = DeliveryStatus.SETTLED, DeliveryStatus.AMBIGUOUS


def failing(store: Store, monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> list[str]:
    """The next `times` calls of a method of the deliveries raise StoreError and do nothing."""
    real = getattr(type(store.deliveries), name)
    failed: list[str] = []

    def sometimes(*arguments: object, **named: object) -> object:
        if len(failed) < times:
            failed.append(name)
            raise StoreError("disk full")
        return real(*arguments, **named)

    monkeypatch.setattr(type(store.deliveries), name, sometimes)
    return failed


def test_nothing_is_sent_when_it_cannot_be_written_that_it_is_being_sent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.commit()
    failing(rig.store, monkeypatch, "begin", 1)
    with pytest.raises(StoreError):
        rig.run(0)
    assert rig.sink.calls == []
    rig.run(5)
    assert rig.sink.calls == ["post"]


def test_what_was_sent_is_written_down_when_the_store_can_be_written_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.commit()
    failing(rig.store, monkeypatch, "settle", 5)
    rig.run(60)
    assert rig.sink.calls == ["post"]
    assert rig.row().status is SETTLED
    assert len(rig.said("outbox_store_failed")) == 5


def test_a_process_that_ends_before_it_could_write_finds_its_message_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.commit()
    failing(rig.store, monkeypatch, "settle", 1)

    def stop(_seconds: float) -> None:
        raise Interrupted

    rig.interrupt = stop
    with pytest.raises(Interrupted):
        rig.run(60)
    assert rig.row().status is DeliveryStatus.SENDING
    rig.interrupt = lambda _seconds: None
    rig.restart()
    rig.run(10)
    assert rig.sink.calls == ["post", "find"]
    assert rig.row().status is SETTLED


def test_a_restart_forgets_how_long_to_wait(rig: Rig) -> None:
    """What was wrong may have been mended: that is why people restart things."""
    rig.sink.faults.append(DeliveryFailure.MISCONFIGURED)
    rig.commit()
    rig.run(0)
    rig.restart()
    rig.run(0)
    assert rig.sink.calls == ["post", "post"]


def test_an_incident_that_is_pruned_while_it_waits_is_forgotten(rig: Rig) -> None:
    fired = rig.commit(severity=WARNING, peak=WARNING)
    rig.run(2)
    rig.sink.faults.extend([DeliveryFailure.TRANSIENT] * 3)
    rig.commit(fired, state=State.RESOLVED, resolved_at=rig.clock().utc)
    rig.run(0)
    rig.store.incidents.prune(rig.clock().utc + timedelta(days=90))
    rig.run(60)
    assert len(rig.sink.calls) == 2


def test_what_another_destination_is_sending_is_left_to_it(rig: Rig) -> None:
    fired = rig.commit()
    rig.store.incidents.commit([Transition("worse", fired, fired)], [Want(0, "mail", CRITICAL)])
    mail = rig.store.deliveries.get(fired.id, "mail")
    assert mail is not None
    sending = rig.store.deliveries.begin(mail, Act(ActKind.POST, fired.id, 1), fired, rig.clock().utc)
    rig.restart()
    rig.run(10)
    assert rig.sink.calls == ["post"]
    assert rig.store.deliveries.get(fired.id, "mail") == sending
