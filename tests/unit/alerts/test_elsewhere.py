"""One fault, one message, also where it shows on several servers: a standby's trouble is part of its primary's outage."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerts.elsewhere import Elsewhere
from pgvigil.model.finding import Finding, target_key
from pgvigil.model.incident import Incident, State
from pgvigil.store import Store
from tests.unit.alerts.acting import finding
from tests.unit.alerts.world import World

PRIMARY = "orders-main"


@pytest.fixture
def primary(store: Store) -> World:
    return World(store, PRIMARY)


@pytest.fixture
def world(store: Store) -> World:
    """The standby."""
    return World(store)


def gone() -> Finding:
    return finding(rule="target_down", target=PRIMARY, explains=frozenset({target_key(PRIMARY)}))


def disconnected(*, about: str = PRIMARY) -> Finding:
    return finding(rule="standby_disconnected", about=frozenset({target_key(about)}))


def outage(primary: World) -> Incident:
    """The primary's, as other targets see it."""
    primary.read(0, "target_down", gone())
    primary.read(31, "target_down", gone())
    (incident,) = primary.elsewhere.beyond("any other")
    assert incident.state is State.FIRING
    return incident


def hear(world: World, incident: Incident) -> None:
    world.elsewhere.say(PRIMARY, (incident,))


def test_it_opens_as_a_child_and_nobody_is_disturbed(primary: World, world: World) -> None:
    down = outage(primary)
    hear(world, down)
    world.read(10, "standby_disconnected", disconnected())
    child = world.incident("standby_disconnected")
    assert (child.state, child.parent_id, child.suppressed_by) == (State.FIRING, down.id, down.name)
    assert world.stored(child).suppressed_by == down.name


def test_what_fired_before_becomes_a_child(primary: World, world: World) -> None:
    world.read(0, "standby_disconnected", disconnected())
    assert world.incident("standby_disconnected").parent_id is None
    down = outage(primary)
    hear(world, down)
    assert "standby_disconnected suppressed" in world.read(10, "slow_query")
    assert world.incident("standby_disconnected").suppressed_by == down.name


def test_it_stays_a_child_a_little_longer_than_the_outage_lasts(primary: World, world: World) -> None:
    """The standby is back a few seconds later, and is no news then."""
    down = outage(primary)
    hear(world, down)
    world.read(10, "standby_disconnected", disconnected())
    ended = replace(down, state=State.RESOLVED, resolved_at=world.clock.utc + timedelta(seconds=5))
    hear(world, ended)
    world.read(30, "standby_disconnected", disconnected())
    assert world.incident("standby_disconnected").suppressed_by == down.name
    assert world.read(30, "standby_disconnected") == ["standby_disconnected resolved"]


def test_one_that_does_not_come_back_is_told_after_all(primary: World, world: World) -> None:
    down = outage(primary)
    hear(world, down)
    world.read(10, "standby_disconnected", disconnected())
    hear(world, replace(down, state=State.RESOLVED, resolved_at=world.clock.utc))
    world.read(100, "standby_disconnected", disconnected())
    assert world.incident("standby_disconnected").suppressed_by == down.name
    world.read(30, "standby_disconnected", disconnected())
    assert world.incident("standby_disconnected").suppressed_by is None


def test_after_a_restart_it_is_still_a_child_though_nobody_knows_the_primary(
    primary: World, world: World
) -> None:
    """What the primary is was known from its last answer, and it does not answer."""
    down = outage(primary)
    hear(world, down)
    world.read(10, "standby_disconnected", disconnected())
    world.restart(5)
    world.read(5, "standby_disconnected", finding(rule="standby_disconnected"))
    assert world.incident("standby_disconnected").suppressed_by == down.name


def test_a_restart_that_takes_up_the_standby_first_tells_nobody_of_it(primary: World, world: World) -> None:
    world.elsewhere = primary.elsewhere
    world.restart(0)
    down = outage(primary)
    world.read(10, "standby_disconnected", disconnected())
    world.elsewhere = primary.elsewhere = Elsewhere()
    world.restart(5)
    primary.restart(5)
    world.read(5, "standby_disconnected", disconnected())
    assert world.incident("standby_disconnected").suppressed_by == down.name
    assert "unsuppressed" not in world.kinds("standby_disconnected")


def test_an_outage_of_another_server_explains_nothing(primary: World, world: World) -> None:
    hear(world, outage(primary))
    world.read(10, "standby_disconnected", disconnected(about="billing-main"))
    assert world.incident("standby_disconnected").suppressed_by is None


def test_an_outage_that_only_begins_explains_nothing(primary: World, world: World) -> None:
    primary.read(0, "target_down", gone())
    assert primary.elsewhere.beyond("any other") == ()
    world.read(10, "standby_disconnected", disconnected())
    assert world.incident("standby_disconnected").suppressed_by is None
