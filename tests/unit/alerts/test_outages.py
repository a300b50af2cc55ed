"""A target that is down, and what becomes of its other incidents."""

from pgvigil.model.incident import State
from tests.unit.alerts.cast import CHAIN, DOWN, IDLE, SLOW
from tests.unit.alerts.world import World, rule


def _goes_down(world: World) -> None:
    world.read(0, "target_down", DOWN)
    world.lose(0, *(world.rules.keys() - {"target_down"}), why="refused")
    world.read(30, "target_down", DOWN)


def test_a_target_that_is_down_suppresses_all_its_other_incidents(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    _goes_down(world)
    down, idle = world.incident("target_down"), world.incident("idle_in_transaction")
    assert (idle.state, idle.suppressed_by, idle.parent_id) == (State.UNKNOWN, down.name, down.id)


def test_down_makes_unknown_what_nobody_had_yet_said_is_not_covered(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(0, "target_down", DOWN)
    world.read(30, "target_down", DOWN)
    idle = world.incident("idle_in_transaction")
    assert (idle.state, idle.reason) == (
        State.UNKNOWN,
        "the target is down: No query is answered: refused",
    )


def test_when_it_answers_again_they_lose_the_mark_and_stay_unknown_until_a_reading(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    _goes_down(world)
    assert world.read(60, "target_down") == ["target_down resolved", "idle_in_transaction unsuppressed"]
    idle = world.incident("idle_in_transaction")
    assert (idle.state, idle.marks) == (State.UNKNOWN, ())
    assert world.read(10, "idle_in_transaction") == ["idle_in_transaction resolved"]


def test_while_it_is_down_nothing_else_opens_and_what_is_pending_stands_still(world: World) -> None:
    world.read(0, "slow_query", SLOW)
    _goes_down(world)
    assert world.read(100, "idle_in_transaction", IDLE) == []
    assert world.read(100, "slow_query", SLOW) == []
    world.read(10, "target_down")
    assert world.read(30, "slow_query", SLOW) == ["slow_query refreshed"]
    assert world.incident("slow_query").state is State.PENDING


def test_a_down_does_not_suppress_itself(world: World) -> None:
    _goes_down(world)
    world.read(30, "target_down", DOWN)
    assert world.incident("target_down").marks == ()


def test_a_reading_that_comes_while_it_is_down_stops_the_clock_of_what_is_pending(world: World) -> None:
    world.read(0, "slow_query", SLOW)
    world.read(0, "target_down", DOWN)
    world.read_all(30, {"target_down": [DOWN], "slow_query": [SLOW]})
    world.read(200, "target_down")
    assert world.read(0, "slow_query", SLOW) == ["slow_query refreshed"]
    assert world.incident("slow_query").state is State.PENDING


def test_a_down_that_fires_at_once_takes_the_others_along_in_a_second_write(world: World) -> None:
    world.rules["target_down"] = rule("target_down", suppresses_target=True)
    world.restart(0)
    world.read(0, "idle_in_transaction", IDLE)
    assert world.read(5, "target_down", DOWN) == [
        "target_down fired",
        "idle_in_transaction unknown",
        "idle_in_transaction suppressed",
    ]


def test_a_chain_and_its_child_come_out_of_a_down_as_they_were(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(5, "blocking_chain", CHAIN)
    chain = world.incident("blocking_chain")
    _goes_down(world)
    world.read(60, "target_down")
    assert world.incident("blocking_chain").marks == ()
    assert world.incident("idle_in_transaction").parent_id == chain.id


def test_a_restart_while_the_target_is_down(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    _goes_down(world)
    world.restart(away_s=30)
    world.read(5, "target_down", DOWN)
    assert world.incident("idle_in_transaction").marks == ("suppressed",)
    world.read(5, "target_down")
    assert world.incident("idle_in_transaction").marks == ()


def test_when_the_server_is_another_the_incidents_of_its_sessions_end_and_no_others(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(0, "slow_query", SLOW)
    idle = world.incident("idle_in_transaction")
    world.engine.server_changed(world.clock.now)
    gone = world.stored(idle)
    assert (gone.state, "its sessions are gone" in gone.reason) == (State.RESOLVED, True)
    assert [incident.rule for incident in world.engine.open()] == ["slow_query"]
