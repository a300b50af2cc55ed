"""Rules, labels and routes change while incidents are open."""

from dataclasses import replace

import pytest

from alerts.bound import BoundRule
from alerts.routes import Route
from pgvigil.model.finding import Finding
from pgvigil.model.incident import State
from pgvigil.store import StoreError
from tests.unit.alerts.acting import finding
from tests.unit.alerts.world import RULES, World, rule

IDLE = finding("idle_in_transaction", "session 8123@t", database="orders")
SLOW = finding("slow_query", "statement 1/10/7", database="orders")
REMOVED = "the rule was removed or switched off"


def configure(world: World, *without: str, labels: str = "prod", **changed: BoundRule) -> list[str]:
    """Other rules and labels; what was written because of it."""
    rules = {name: bound for name, bound in (RULES | changed).items() if name not in without}
    seen = len(world.written)
    world.engine.configure({"env": labels}, rules)
    world.engine.catch_up(world.clock.after(1))
    return [f"{one.after.rule} {one.kind}" for one in world.written[seen:]]


def heard(world: World, about: str) -> set[str]:
    """The sinks that are to reflect the rule's incident."""
    return {row.sink for row in world.store.deliveries.of_incident(world.incident(about).id)}


def test_incidents_of_a_rule_that_is_gone_end_and_say_why(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(0, "slow_query", SLOW)
    assert configure(world, "idle_in_transaction", "slow_query") == [
        "idle_in_transaction resolved",
        "slow_query dropped",
    ]
    assert world.open() == []
    assert world.written[0].after.labels == (("env", "prod"),)
    assert [one.after.reason for one in world.written if one.kind == "resolved"] == [REMOVED]


def test_a_rule_that_was_judging_when_it_went_opens_nothing(world: World) -> None:
    """Its answer comes after the change."""
    configure(world, "idle_in_transaction")
    assert world.read(1, "idle_in_transaction", IDLE) == []
    assert world.open() == []


def test_patience_is_changed_under_way_and_the_time_goes_on(world: World) -> None:
    """`for` is 120 s: after 60 s it becomes 30 s, and the next sight of it fires."""
    world.read(0, "slow_query", SLOW)
    world.read(60, "slow_query", SLOW)
    assert configure(world, slow_query=rule("slow_query", for_s=30, keep_firing_for_s=300)) == []
    assert world.read(5, "slow_query", SLOW) == ["slow_query fired"]
    world.read(5, "slow_query")
    configure(world, slow_query=rule("slow_query", for_s=30, keep_firing_for_s=20))
    assert world.read(20, "slow_query") == ["slow_query resolved"]


@pytest.mark.parametrize("went", [True, False])
def test_what_could_not_be_written_is_written_by_the_next_evaluation(world: World, went: bool) -> None:
    """The end of a rule's incidents, or of all: by a reading of another rule, or by catching up again."""
    world.read(0, "idle_in_transaction", IDLE)
    world.disk.fails_after = 0
    with pytest.raises(StoreError):
        configure(world, "idle_in_transaction")
    assert world.incident("idle_in_transaction").state is State.FIRING
    world.disk.fails_after = None
    if went:
        world.engine.catch_up(world.clock.after(1))
    else:
        world.read(1, "slow_query")
    assert world.written[-1].after.reason == REMOVED


def test_a_target_that_went_says_so_and_listens_no_more(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.engine.retire()
    assert world.read(1, "slow_query", SLOW) == ["idle_in_transaction resolved"]
    assert world.written[-1].after.reason == "the target is no longer watched"
    assert world.open() == []


def test_open_incidents_have_the_labels_of_today_and_a_restart_keeps_them(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    assert configure(world, labels="stage") == []
    assert world.incident("idle_in_transaction").labels == (("env", "stage"),)
    world.read(31, "idle_in_transaction", replace(IDLE, value=2.0))
    assert world.stored(world.incident("idle_in_transaction")).labels == (("env", "stage"),)


def test_who_the_routes_name_by_now_is_told_of_what_fires_once(world: World) -> None:
    """By the labels of today; nothing is said of what is pending, and nobody is told again."""
    world.routes = [Route(match={"env": ("stage",)}, sinks=("stage",)), Route(sinks=("all",))]
    world.read(0, "idle_in_transaction", IDLE)
    world.read(0, "slow_query", SLOW)
    assert heard(world, "idle_in_transaction") == {"all"}
    configure(world, labels="stage")
    assert heard(world, "idle_in_transaction") == {"all", "stage"}
    assert heard(world, "slow_query") == set()
    before = world.store.deliveries.of_incident(world.incident("idle_in_transaction").id)
    configure(world, labels="stage")
    assert world.store.deliveries.of_incident(world.incident("idle_in_transaction").id) == before


def test_what_was_resolved_is_announced_to_nobody(world: World) -> None:
    finding_then: Finding = IDLE
    world.read(0, "idle_in_transaction", finding_then)
    world.read(1, "idle_in_transaction")
    world.routes = [Route(sinks=("new",))]
    configure(world)
    assert world.store.deliveries.sinks() == {"all"}
