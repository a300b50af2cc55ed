"""The rows of a sink that is taken out of the configuration, put into it, or put back."""

from dataclasses import replace

import pytest

from pgvigil.model.delivery import Act, ActKind, Delivery, DeliveryStatus, Want
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.store import Store
from tests.support.views import T0, incident


def fire(store: Store, *sinks: str, subject: str = "a") -> Incident:
    fired = incident(id=0, subject=subject)
    wants = [Want(0, sink, Level.CRITICAL) for sink in sinks]
    return store.incidents.commit([Transition("fired", None, fired)], wants)[0]


def resolve(store: Store, fired: Incident) -> Incident:
    over = replace(fired, state=State.RESOLVED, version=fired.version + 1, resolved_at=T0)
    return store.incidents.commit([Transition("resolved", fired, over)])[0]


def row(store: Store, about: Incident, sink: str = "oncall") -> Delivery | None:
    return store.deliveries.get(about.id, sink)


def tell(store: Store, about: Incident) -> None:
    """People have seen it as it is."""
    due = row(store, about)
    assert due is not None
    store.deliveries.settle(
        due,
        version=about.version,
        state=about.state,
        level=about.severity,
        remote={"ts": "1"},
        at=T0,
    )


def test_what_nobody_there_has_seen_is_dropped(store: Store) -> None:
    fired = fire(store, "oncall", "other")
    assert store.deliveries.leave("oncall") == 1
    assert row(store, fired) is None
    assert row(store, fired, "other") is not None
    assert store.deliveries.sinks() == {"other"}


def test_what_was_seen_waits_for_the_return_of_the_sink_and_is_put_right_then(store: Store) -> None:
    """Meanwhile nothing is due, whatever becomes of the incident."""
    fired = fire(store, "oncall")
    tell(store, fired)
    assert store.deliveries.leave("oncall") == 0
    over = resolve(store, fired)
    assert store.deliveries.due("oncall", T0) == []
    assert "oncall" not in store.deliveries.stats()
    assert store.deliveries.sinks() == set()
    store.deliveries.take_up("oncall")
    [due] = store.deliveries.due("oncall", T0)
    assert (due.want_version, due.seen_version, due.remote) == (over.version, fired.version, {"ts": "1"})


def test_what_was_seen_and_did_not_change_is_settled_again(store: Store) -> None:
    fired = fire(store, "oncall")
    tell(store, fired)
    store.deliveries.leave("oncall")
    store.deliveries.take_up("oncall")
    back = row(store, fired)
    assert back is not None
    assert back.status is DeliveryStatus.SETTLED


def test_what_may_have_arrived_is_looked_for_when_the_sink_returns(store: Store) -> None:
    fired = fire(store, "oncall")
    due = row(store, fired)
    assert due is not None
    store.deliveries.begin(due, Act(ActKind.POST, fired.id, fired.version), fired, T0)
    assert store.deliveries.leave("oncall") == 1
    resolve(store, fired)
    store.deliveries.take_up("oncall")
    [doubtful] = store.deliveries.due("oncall", T0)
    assert doubtful.status is DeliveryStatus.AMBIGUOUS
    assert doubtful.act_key == f"{fired.id}:{fired.version}:post"


def test_who_is_wanted_again_is_due_though_nobody_took_it_up(store: Store) -> None:
    """The engine's commit may come before the outbox has begun."""
    fired = fire(store, "oncall")
    tell(store, fired)
    store.deliveries.leave("oncall")
    worse = replace(fired, version=fired.version + 1)
    store.incidents.commit([Transition("worse", fired, worse)], [Want(0, "oncall", Level.CRITICAL)])
    assert len(store.deliveries.due("oncall", T0)) == 1


@pytest.mark.parametrize("known", ["due", "told", "left"])
def test_only_who_never_heard_of_it_is_introduced(store: Store, known: str) -> None:
    fired = fire(store, "oncall")
    if known != "due":
        tell(store, fired)
    if known == "left":
        store.deliveries.leave("oncall")
    before = row(store, fired)
    wants = [Want(0, sink, Level.CRITICAL, "<!here>") for sink in ("oncall", "new")]
    assert store.incidents.announce([fired], wants) == 1
    assert row(store, fired) == before
    new = row(store, fired, "new")
    assert new is not None
    assert (new.status, new.want_version, new.mention) == (DeliveryStatus.DUE, fired.version, "<!here>")
    assert store.incidents.announce([fired], wants) == 0
