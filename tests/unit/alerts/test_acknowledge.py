"""What people do to incidents: done once, written before it holds, heard by whoever comes second."""

import threading
from dataclasses import replace

import pytest

from alerts.actions import Desk, NoSuchIncidentError
from pgvigil.model.action import Action, ActionKind, Actor, Door, Outcome, Result
from pgvigil.model.level import Level
from pgvigil.store import StoreError
from tests.unit.alerts.acting import finding
from tests.unit.alerts.world import World

RULE = "idle_in_transaction"


def press(
    world: World,
    who: str = "ana",
    kind: ActionKind = ActionKind.ACKNOWLEDGE,
    *,
    id_: str = "",
    number: int = 1,
) -> Outcome:
    """Somebody's press of a button; a new one, unless `id_` names it."""
    moment = world.clock.after(1)
    action = Action(
        id=id_ or f"{who}-{moment.mono_s}",
        kind=kind,
        incident_id=number,
        actor=Actor(who, Door.CLI),
        at=moment.utc,
        note="on it",
    )
    return desk(world).act(action)


def desk(world: World) -> Desk:
    def perform(target: str, action: Action) -> Outcome | None:
        return world.engine.act(action, world.clock.now) if target == world.target else None

    return Desk(world.store.incidents, perform)


def fire(world: World, level: Level = Level.WARNING) -> None:
    world.read(1, RULE, finding(RULE, level=level))


def test_whoever_acknowledges_stands_in_the_incident_its_history_and_the_store(world: World) -> None:
    fire(world)
    outcome = press(world)
    assert (outcome.result, outcome.sentence) == (Result.DONE, "INC-1 is acknowledged by ana")
    [stored] = world.store.incidents.open()
    assert (stored.acknowledged_by, stored.acknowledged_level) == ("ana", Level.WARNING)
    assert stored == world.incident(RULE)
    last = world.store.incidents.history(1)[-1]
    assert (last.kind, last.why) == ("acknowledged", "by ana (cli): on it")


def test_all_who_were_told_are_to_see_who_acknowledged(world: World) -> None:
    fire(world)
    before = world.store.deliveries.get(1, "all")
    press(world)
    after = world.store.deliveries.get(1, "all")
    assert before is not None
    assert after is not None
    assert after.want_version > before.want_version


def test_of_two_people_the_first_wins_and_the_second_hears_who_was_first(world: World) -> None:
    fire(world)
    press(world, "ana")
    second = press(world, "bob")
    assert second.result is Result.ALREADY
    assert second.sentence.startswith("ana was first: INC-1 was acknowledged at ")
    assert world.incident(RULE).acknowledged_by == "ana"
    assert [event.kind for event in world.store.incidents.history(1)].count("acknowledged") == 1


def test_of_two_who_press_at_once_exactly_one_is_first(world: World) -> None:
    fire(world)
    place, moment = desk(world), world.clock.now
    outcomes: list[Outcome] = []
    together = threading.Barrier(8)

    def act(who: str) -> None:
        action = Action(
            id=who,
            kind=ActionKind.ACKNOWLEDGE,
            incident_id=1,
            actor=Actor(who, Door.API),
            at=moment.utc,
        )
        together.wait(10)
        outcomes.append(place.act(action))

    threads = [threading.Thread(target=act, args=(f"p{each}",)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(one.result for one in outcomes) == [Result.ALREADY] * 7 + [Result.DONE]
    assert {one.incident.acknowledged_by for one in outcomes} == {world.incident(RULE).acknowledged_by}


def test_the_same_press_twice_is_done_once_also_after_it_was_undone(world: World) -> None:
    """A request that is sent again because its answer was lost must not acknowledge anew."""
    fire(world)
    press(world, "ana", id_="x")
    press(world, "bob", ActionKind.UNACKNOWLEDGE)
    again = press(world, "ana", id_="x")
    assert again.result is Result.ALREADY
    assert again.sentence.startswith("this was done already, by ana at ")
    assert world.incident(RULE).acknowledged_by is None


def test_an_id_that_was_another_action_does_nothing(world: World) -> None:
    fire(world)
    press(world, "ana", id_="x")
    other = press(world, "ana", ActionKind.UNACKNOWLEDGE, id_="x")
    assert other.result is Result.ALREADY
    assert "was another one: acknowledge INC-1" in other.sentence
    assert world.incident(RULE).acknowledged_by == "ana"


def test_undone_it_is_nobodys(world: World) -> None:
    fire(world)
    assert press(world, "ana", ActionKind.UNACKNOWLEDGE).sentence == "nobody has acknowledged INC-1"
    press(world, "ana")
    outcome = press(world, "bob", ActionKind.UNACKNOWLEDGE)
    assert outcome.sentence == "INC-1 is no longer acknowledged by ana"
    assert world.incident(RULE).marks == ()
    assert world.incident(RULE).acknowledged_level is None


def test_worse_than_when_it_was_acknowledged_it_is_nobodys_and_says_why(world: World) -> None:
    fire(world)
    press(world)
    world.read(10, RULE, finding(RULE, level=Level.CRITICAL))
    assert world.incident(RULE).acknowledged_by is None
    last = world.store.incidents.history(1)[-1]
    assert last.kind == "worse"
    assert last.why == "no longer acknowledged: it was warning when ana acknowledged it, and is critical"


def test_back_to_what_it_was_when_it_was_acknowledged_it_stays_acknowledged(world: World) -> None:
    fire(world, Level.CRITICAL)
    press(world)
    for level in (Level.WARNING, Level.CRITICAL):
        world.read(10, RULE, finding(RULE, level=level))
        assert world.incident(RULE).acknowledged_by == "ana"


def test_worse_after_a_gap_it_is_nobodys(world: World) -> None:
    fire(world)
    press(world)
    world.lose(5, RULE)
    assert world.incident(RULE).acknowledged_by == "ana"
    world.read(5, RULE, finding(RULE, level=Level.CRITICAL))
    assert world.incident(RULE).acknowledged_by is None


def test_it_holds_after_a_restart_and_when_the_incident_goes_on(world: World) -> None:
    fire(world)
    press(world)
    world.restart(5)
    assert world.incident(RULE).acknowledged_by == "ana"
    fire(world)
    assert world.incident(RULE).acknowledged_by == "ana"
    assert press(world, "bob").result is Result.ALREADY


def test_what_is_over_cannot_be_acknowledged(world: World) -> None:
    fire(world)
    world.read(10, RULE)
    outcome = press(world)
    assert outcome.result is Result.REFUSED
    assert outcome.sentence == "INC-1 is over: there is nothing to look after"
    world.restart(7200)  # long over: the engine has forgotten it
    assert press(world).sentence == outcome.sentence


def test_what_has_not_fired_cannot_be_acknowledged(world: World) -> None:
    world.read(1, "slow_query", finding("slow_query"))
    assert press(world).sentence == "INC-1 has not fired: nobody was told of it yet"


def test_there_must_be_such_an_incident_and_somebody_who_watches_its_target(world: World) -> None:
    with pytest.raises(NoSuchIncidentError, match="there is no incident INC-9"):
        press(world, number=9)
    fire(world)
    world.target = "another"
    assert press(world).sentence == "orders-prod is no longer watched: INC-1 ends shortly"


def test_what_cannot_be_written_does_not_hold(world: World) -> None:
    fire(world)
    world.disk.fails_after = 0
    with pytest.raises(StoreError):
        press(world, id_="x")
    assert world.incident(RULE).acknowledged_by is None
    world.disk.fails_after = None
    assert press(world, id_="x").result is Result.DONE


def test_the_last_two_hundred_actions_of_an_incident_are_kept(world: World) -> None:
    fire(world)
    [incident] = world.store.incidents.open()
    at = world.clock.now.utc
    for number in range(205):
        one = Action(
            id=f"a{number:03}",
            kind=ActionKind.ACKNOWLEDGE,
            incident_id=incident.id,
            actor=Actor("loop", Door.API),
            at=at.replace(microsecond=number),
        )
        world.store.incidents.commit([], [], [one])
    kept = [world.store.incidents.action(f"a{number:03}") for number in range(205)]
    assert [one is not None for one in kept] == [False] * 5 + [True] * 200
    assert kept[-1] == replace(one, note="")


def test_who_refreshes_sees_the_next_reading_however_soon_it_comes_and_only_that_one(world: World) -> None:
    """Also where it says the same: when it was seen is what people asked."""
    fire(world)
    version = world.incident(RULE).version
    world.read(1, RULE, finding(RULE))
    assert world.incident(RULE).version == version, "a second later nothing new is told by itself"
    assert press(world, kind=ActionKind.REFRESH).result is Result.DONE
    assert world.incident(RULE).version == version, "a press alone shows nothing"
    world.read(1, RULE, finding(RULE))
    assert world.incident(RULE).version == version + 1
    assert world.incident(RULE).evaluated_at == world.clock.now.utc
    world.read(1, RULE, finding(RULE))
    assert world.incident(RULE).version == version + 1
    assert "refresh" not in {event.kind for event in world.store.incidents.history(1)}
