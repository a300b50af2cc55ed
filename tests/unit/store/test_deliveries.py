"""The rows where the engine and the outbox meet: neither ever undoes the other's work."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgvigil.model.delivery import Act, ActKind, Delivery, DeliveryStatus, Want
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.store import Store
from pgvigil.store.codec import remote_json, remote_of, restored, storable
from pgvigil.store.deliveries import Queue
from tests.support.views import T0, incident

LATER = T0 + timedelta(minutes=5)


def fire(store: Store, *, sink: str = "oncall", urgency: Level = Level.WARNING, **changes: Any) -> Incident:
    (kept,) = store.incidents.commit(
        [Transition("fired", None, incident(id=0, **changes))], [Want(0, sink, urgency, "<!here>")]
    )
    return kept


def raise_version(store: Store, kept: Incident, at: datetime, **changes: Any) -> Incident:
    newer = replace(kept, version=kept.version + 1, evaluated_at=at, **changes)
    store.incidents.commit([Transition("worse", kept, newer)], [Want(0, "oncall", Level.CRITICAL)])
    return newer


def row(store: Store, kept: Incident) -> Delivery:
    found = store.deliveries.get(kept.id, "oncall")
    assert found is not None
    return found


def begun(store: Store, kept: Incident) -> Delivery:
    act = Act(ActKind.POST, kept.id, kept.version)
    sending = store.deliveries.begin(row(store, kept), act, kept, T0)
    assert sending is not None
    return sending


def settle(store: Store, read: Delivery, kept: Incident) -> Delivery | None:
    return store.deliveries.settle(
        read,
        version=kept.version,
        state=kept.state,
        level=kept.severity,
        remote={"channel": "C1", "ts": "1.2"},
        at=LATER,
    )


def test_a_want_opens_a_row(store: Store) -> None:
    kept = fire(store)
    assert row(store, kept) == Delivery(
        incident_id=kept.id,
        sink="oncall",
        want_version=kept.version,
        urgency=Level.WARNING,
        due_since=T0,
        mention="<!here>",
    )


def test_a_newer_want_raises_the_row_and_keeps_the_age_of_the_oldest_untold_change(store: Store) -> None:
    kept = fire(store)
    newer = raise_version(store, kept, LATER)
    raised = row(store, kept)
    assert (raised.want_version, raised.urgency, raised.due_since) == (newer.version, Level.CRITICAL, T0)
    assert raised.mention == "<!here>"


def test_a_settled_row_that_is_wanted_again_is_due_since_then(store: Store) -> None:
    kept = fire(store)
    settled = settle(store, begun(store, kept), kept)
    assert settled is not None
    assert (settled.status, settled.seen_version, settled.seen_state, settled.seen_level) == (
        DeliveryStatus.SETTLED,
        kept.version,
        State.FIRING,
        Level.CRITICAL,
    )
    assert settled.remote == {"channel": "C1", "ts": "1.2"}
    assert settled.act_key is None
    raise_version(store, kept, LATER)
    again = row(store, kept)
    assert (again.status, again.due_since, again.seen_version) == (DeliveryStatus.DUE, LATER, kept.version)


def test_what_was_sent_is_not_settled_when_more_is_wanted_by_then(store: Store) -> None:
    kept = fire(store)
    sending = begun(store, kept)
    raise_version(store, kept, LATER)
    assert row(store, kept).status is DeliveryStatus.SENDING
    after = settle(store, sending, kept)
    assert after is not None
    assert (after.status, after.seen_version, after.want_version) == (
        DeliveryStatus.DUE,
        kept.version,
        kept.version + 1,
    )


def test_who_was_to_hear_that_it_fires_hears_the_end_though_no_route_names_him(store: Store) -> None:
    kept = fire(store)
    settle(store, begun(store, kept), kept)
    ended = replace(kept, version=9, state=State.RESOLVED, severity=Level.WARNING, evaluated_at=LATER)
    store.incidents.commit([Transition("resolved", kept, ended)], [Want(0, "mail", Level.WARNING)])
    both = store.deliveries.of_incident(kept.id)
    assert [(each.sink, each.want_version, each.status) for each in both] == [
        ("mail", 9, DeliveryStatus.DUE),
        ("oncall", 9, DeliveryStatus.DUE),
    ]
    assert (both[1].due_since, both[1].urgency, both[1].mention) == (LATER, Level.WARNING, "<!here>")


def test_a_change_that_is_no_news_makes_nothing_due(store: Store) -> None:
    kept = fire(store)
    settle(store, begun(store, kept), kept)
    store.incidents.commit([Transition("refreshed", kept, replace(kept, summary="24 sessions"))], [])
    assert row(store, kept).status is DeliveryStatus.SETTLED


@pytest.mark.parametrize("status", [DeliveryStatus.SENDING, DeliveryStatus.AMBIGUOUS])
def test_a_want_never_hides_that_something_may_have_arrived(store: Store, status: DeliveryStatus) -> None:
    kept = fire(store)
    sending = begun(store, kept)
    store.deliveries.put_back(sending, replace(sending, status=status))
    raise_version(store, kept, LATER)
    raised = row(store, kept)
    assert (raised.status, raised.act_key, raised.maybe_seen) == (
        status,
        f"{kept.id}:2:post",
        ((State.FIRING, Level.CRITICAL),),
    )


@pytest.mark.parametrize(("act_key", "then"), [(None, "due"), ("1:2:post", "ambiguous")])
def test_a_parked_row_gets_another_chance_when_its_incident_changes(
    store: Store, act_key: str | None, then: str
) -> None:
    kept = fire(store)
    read = row(store, kept)
    parked = replace(read, status=DeliveryStatus.PARKED, not_before=LATER, act_key=act_key, attempts=3)
    assert store.deliveries.put_back(read, parked) == parked
    raise_version(store, kept, LATER)
    raised = row(store, kept)
    assert (raised.status, raised.not_before, raised.attempts) == (DeliveryStatus(then), None, 3)


def test_a_row_in_back_off_stays_in_it(store: Store) -> None:
    kept = fire(store)
    read = row(store, kept)
    store.deliveries.put_back(read, replace(read, attempts=1, not_before=LATER))
    raise_version(store, kept, LATER)
    assert row(store, kept).not_before == LATER


def test_a_row_that_is_not_as_it_was_read_is_not_written(store: Store) -> None:
    kept = fire(store)
    read = row(store, kept)
    assert store.deliveries.put_back(read, replace(read, attempts=1)) is not None
    assert store.deliveries.put_back(read, replace(read, attempts=7)) is None
    assert store.deliveries.begin(read, Act(ActKind.POST, kept.id, 2), kept, T0) is None
    assert settle(store, read, kept) is None
    assert row(store, kept).attempts == 1


def test_a_row_whose_incident_was_pruned_is_gone(store: Store) -> None:
    kept = fire(store, state=State.RESOLVED, resolved_at=T0)
    read = row(store, kept)
    store.incidents.prune(LATER)
    assert store.deliveries.of_incident(kept.id) == []
    assert settle(store, read, kept) is None


def test_the_most_urgent_comes_first_then_the_oldest(store: Store) -> None:
    ids = [
        fire(store, subject=subject, urgency=urgency, evaluated_at=at).id
        for subject, urgency, at in (
            ("late warning", Level.WARNING, LATER),
            ("warning", Level.WARNING, T0),
            ("critical", Level.CRITICAL, LATER),
        )
    ]
    fire(store, sink="mail", subject="other sink")
    due = store.deliveries.due("oncall", LATER, limit=10)
    assert [each.incident_id for each in due] == [ids[2], ids[1], ids[0]]
    assert store.deliveries.due("oncall", LATER) == due[:1]


def test_only_what_may_be_tried_now_is_due(store: Store) -> None:
    kept = [fire(store, subject=str(number)) for number in range(6)]
    changes: list[dict[str, Any]] = [
        {"not_before": LATER},
        {"status": DeliveryStatus.SENDING},
        {"status": DeliveryStatus.SETTLED, "seen_version": 2},
        {"status": DeliveryStatus.PARKED, "not_before": LATER + timedelta(seconds=1)},
        {"status": DeliveryStatus.AMBIGUOUS, "act_key": "5:2:post"},
        {},
    ]
    for each, change in zip(kept, changes, strict=True):
        read = row(store, each)
        store.deliveries.put_back(read, replace(read, **change))
    due = store.deliveries.due
    assert [each.incident_id for each in due("oncall", T0, 10)] == [5, 6]
    assert [each.incident_id for each in due("oncall", LATER, 10)] == [1, 5, 6]
    assert store.deliveries.next_at("oncall", T0) == LATER
    assert store.deliveries.next_at("oncall", LATER + timedelta(hours=1)) is None
    assert store.deliveries.next_at("mail", T0) is None
    assert store.deliveries.release("oncall") == 2
    assert [each.incident_id for each in due("oncall", T0, 10)] == [1, 4, 5, 6]
    assert store.deliveries.next_at("oncall", T0) is None


def test_what_was_being_sent_when_the_process_ended_is_ambiguous(store: Store) -> None:
    kept = fire(store)
    sending = begun(store, kept)
    assert store.deliveries.interrupted("another") == 0
    assert store.deliveries.interrupted("oncall") == 1
    assert row(store, kept) == replace(sending, status=DeliveryStatus.AMBIGUOUS)


def test_the_queue_of_each_sink(store: Store) -> None:
    first, second = fire(store, subject="a", evaluated_at=LATER), fire(store, subject="b")
    settle(store, begun(store, second), second)
    assert store.deliveries.stats() == {"oncall": Queue(1, 0, LATER)}
    read = row(store, first)
    store.deliveries.put_back(read, replace(read, status=DeliveryStatus.PARKED))
    assert store.deliveries.stats() == {"oncall": Queue(1, 1, LATER)}


@given(text=st.text(st.characters()))
def test_any_text_can_be_stored(text: str) -> None:
    """Also lone surrogates, and text that looks like the escape itself."""
    for each in (text, "\x1bjson:" + text):
        storable(each).encode()
        assert restored(storable(each)) == each


@given(remote=st.dictionaries(st.text(), st.text()))
def test_a_handle_comes_back_as_it_was(remote: dict[str, str]) -> None:
    assert remote_of(remote_json(remote)) == remote
