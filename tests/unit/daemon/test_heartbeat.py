"""How long pgvigil was away, and who is to hear of it."""

from datetime import timedelta

import pytest

from daemon.heartbeat import ALIVE, Heartbeat
from daemon.settling import FirstLook
from pgvigil.model.digest import DigestDelivery
from pgvigil.store import Store, StoreError
from tests.support.destination import Clock


def start(store: Store, clock: Clock, digest_after_s: float = 300.0) -> DigestDelivery | None:
    """What a start leaves for the sink to tell."""
    Heartbeat(store, clock, digest_after_s).take_up(["oncall"])
    return store.digests.get("oncall")


def ran(store: Store, clock: Clock) -> None:
    Heartbeat(store, clock, 300.0).beat()


def test_the_first_start_is_no_pause(store: Store) -> None:
    assert start(store, Clock()) is None


@pytest.mark.parametrize(("away_s", "told"), [(299, False), (300, True), (86_400, True), (-3600, False)])
def test_a_pause_is_what_lasts_and_lies_in_the_past(store: Store, away_s: float, told: bool) -> None:
    clock = Clock()
    ran(store, clock)
    since = clock().utc
    clock.pass_time(away_s)
    digest = start(store, clock)
    assert (digest is not None) == told
    if digest is not None:
        until = clock().utc
        assert (digest.since, digest.until) == (since, until)
        assert digest.settle_by == until + timedelta(seconds=60)


def test_the_start_itself_is_a_beat(store: Store) -> None:
    """A second start soon after goes on with what the first one left, with the same time limit."""
    clock = Clock()
    ran(store, clock)
    clock.pass_time(600)
    first = start(store, clock)
    clock.pass_time(50)
    assert start(store, clock) == first


def test_another_pause_before_anything_was_told_joins_the_first(store: Store) -> None:
    clock = Clock()
    ran(store, clock)
    first_since = clock().utc
    clock.pass_time(600)
    start(store, clock)
    clock.pass_time(600)
    digest = start(store, clock)
    assert digest is not None
    assert (digest.since, digest.until) == (first_since, clock().utc)
    assert digest.settle_by > digest.until


def test_zero_means_never(store: Store) -> None:
    clock = Clock()
    ran(store, clock)
    clock.pass_time(86_400)
    assert start(store, clock, 0.0) is None


@pytest.mark.parametrize("stamp", ["yesterday", 7, "2026-11-22T20:00:00", {}])
def test_a_stamp_that_makes_no_sense_is_no_pause(store: Store, stamp: object) -> None:
    store.state.put(ALIVE, stamp)
    assert start(store, Clock()) is None


def test_a_sink_that_is_gone_is_forgotten(store: Store) -> None:
    clock = Clock()
    ran(store, clock)
    clock.pass_time(600)
    start(store, clock)
    Heartbeat(store, clock, 300.0).take_up(["mail"])
    assert store.digests.get("oncall") is None


def test_a_store_that_fails_keeps_nothing_from_starting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(type(store.state), "put", fails)
    heartbeat = Heartbeat(store, Clock(), 300.0)
    heartbeat.take_up(["oncall"])
    heartbeat.beat()


class Looked:
    def __init__(self, name: str) -> None:
        self.name = name
        self.looked = False


def test_everything_was_looked_at_once_each_was_whatever_it_does_then() -> None:
    one, other = Looked("one"), Looked("other")
    first_look = FirstLook(lambda: [one, other])
    assert not first_look()
    one.looked = True
    assert not first_look()
    one.looked, other.looked = False, True
    assert first_look()


def test_without_targets_there_is_nothing_to_wait_for() -> None:
    assert FirstLook(list)()
