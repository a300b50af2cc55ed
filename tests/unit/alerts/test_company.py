"""What began together is told as one: the worst leads, and nobody who should hear is left out."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from alerts.routes import Route
from alerts.rules._together import SCHEMA_CHANGE, SLOW_DOWN
from pgvigil.model.evidence import Evidence
from pgvigil.model.finding import Finding, Scope
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.model.silence import Silence
from pgvigil.store import Store
from tests.unit.alerts.acting import finding
from tests.unit.alerts.cast import CHAIN
from tests.unit.alerts.world import World, rule


@pytest.fixture
def world(store: Store) -> World:
    made = World(store)
    made.rules |= {
        "slow_query": rule("slow_query", together=SLOW_DOWN),
        "invalid_index": rule("invalid_index", together=SCHEMA_CHANGE),
        "constraint_not_valid": rule("constraint_not_valid", together=SCHEMA_CHANGE),
    }
    made.restart(0)
    return made


def slow(number: int, level: Level = Level.WARNING, share: float | None = 5.0, **more: object) -> Finding:
    told = finding("slow_query", f"statement {number}", level, summary=f"query {number}: 2s a call")
    return replace(told, evidence=Evidence(share_percent=share), **more)  # type: ignore[arg-type]


def leading(world: World) -> list[str]:
    """Those that are told by themselves, by subject."""
    return sorted(one.subject for one in world.engine.open() if one.parent_id is None)


def of(world: World, subject: str) -> Incident:
    [found] = [one for one in world.engine.open() if one.subject == subject]
    return found


def test_three_that_begin_together_are_one_message_that_names_them(world: World) -> None:
    world.read(0, "slow_query", slow(1), slow(2), slow(3))
    assert leading(world) == ["statement 1"]
    leader = of(world, "statement 1")
    assert {of(world, f"statement {number}").suppressed_by for number in (2, 3)} == {leader.name}
    first, *others = leader.evidence.notes
    assert (
        first == "3 began together, together 15 % of the server's time: it looks like a server-wide slow-down"
    )
    assert others == ["INC-2 slow_query: query 2: 2s a call", "INC-3 slow_query: query 3: 2s a call"]
    assert world.stored(leader).evidence.notes == (first, *(line.partition(" ")[2] for line in others))


def test_nobody_is_asked_to_tell_of_a_follower_before_it_follows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are new in the same commit as their leader, whose number they can name only in the next one."""
    told: list[tuple[str, str | None]] = []
    commit = world.disk.commit

    def watched(transitions: Sequence[Transition], wants: Sequence[object], *rest: object) -> list[Incident]:
        after = [transitions[want.index].after for want in wants]  # type: ignore[attr-defined]
        told.extend((one.subject, one.suppressed_by) for one in after)
        return commit(transitions, wants, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(world.disk, "commit", watched)
    world.read(0, "slow_query", slow(1), slow(2), slow(3))
    assert [subject for subject, parent in told if parent is None] == ["statement 1"]
    assert {subject for subject, parent in told if parent} == {"statement 2", "statement 3"}


def test_two_are_two_unless_they_take_much_of_the_server(world: World) -> None:
    world.read(0, "slow_query", slow(1), slow(2))
    assert leading(world) == ["statement 1", "statement 2"]
    world.read(60, "slow_query")
    world.read(60, "slow_query", slow(3, share=25.0), slow(4, share=5.0))
    assert leading(world) == ["statement 3"]


def test_what_begins_at_another_time_is_another_matter(world: World) -> None:
    found = [slow(1), slow(2), slow(3), slow(4)]
    world.read(0, "slow_query", *found[:2])
    for number in range(6):
        world.read(60, "slow_query", *found[: 3 if number < 5 else 4])
    assert leading(world) == ["statement 1", "statement 4"]
    assert of(world, "statement 3").parent_id == of(world, "statement 1").id


def test_reading_after_reading_changes_nothing(world: World) -> None:
    found = [slow(1), slow(2), slow(3)]
    world.read(0, "slow_query", *found)
    for _ in range(5):
        kinds = {one.partition(" ")[2] for one in world.read(60, "slow_query", *found)}
        assert kinds <= {"refreshed"}


def test_when_the_leader_has_ended_for_a_while_the_next_one_is_told_and_leads(world: World) -> None:
    found = [slow(1), slow(2), slow(3)]
    world.read(0, "slow_query", *found)
    assert set(world.read(60, "slow_query", *found[1:])) == {"slow_query resolved", "slow_query refreshed"}
    for after_s, leader in ((119, []), (1, ["statement 2"])):
        world.read(after_s, "slow_query", *found[1:])
        assert leading(world) == leader
    assert of(world, "statement 3").parent_id == of(world, "statement 2").id


def test_what_ends_one_by_one_is_one_message_all_the_same(world: World) -> None:
    found = [slow(number) for number in range(1, 7)]
    world.read(0, "slow_query", *found)
    for left in range(1, 7):
        kinds = set(world.read(60 if left < 3 else 15, "slow_query", *found[left:]))
        assert "slow_query unsuppressed" not in kinds
    assert world.engine.open() == ()


def test_a_restart_in_that_while_tells_nobody(world: World) -> None:
    found = [slow(1), slow(2), slow(3)]
    world.read(0, "slow_query", *found)
    world.read(60, "slow_query", *found[1:])
    world.restart(30)
    world.read(30, "slow_query", *found[1:])
    assert leading(world) == []
    world.read(60, "slow_query", *found[1:])
    assert leading(world) == ["statement 2"]


def test_one_that_is_critical_is_told_as_soon_as_its_leader_has_ended(world: World) -> None:
    found = [slow(number, Level.CRITICAL if number < 3 else Level.WARNING) for number in (1, 2, 3)]
    world.read(0, "slow_query", *found)
    world.read(60, "slow_query", *found[1:])
    assert leading(world) == ["statement 2"]


def test_one_that_begins_in_that_while_is_told_and_leads_the_others(world: World) -> None:
    found = [slow(1), slow(2), slow(3)]
    world.read(0, "slow_query", *found)
    world.read(60, "slow_query", *found[1:])
    found.append(slow(4))
    for after_s in (30, 120):
        world.read(after_s, "slow_query", *found[1:])
        assert leading(world) == ["statement 4"]
    assert of(world, "statement 2").parent_id == of(world, "statement 4").id


def test_one_that_gets_worse_than_its_leader_leads(world: World) -> None:
    world.read(0, "slow_query", slow(1), slow(2), slow(3))
    world.read(60, "slow_query", slow(1), slow(2), slow(3, Level.CRITICAL))
    assert leading(world) == ["statement 3"]
    assert {of(world, f"statement {number}").parent_id for number in (1, 2)} == {of(world, "statement 3").id}
    world.read(60, "slow_query", slow(1), slow(2), slow(3))
    assert leading(world) == ["statement 3"]


def test_they_stay_together_over_a_restart(world: World) -> None:
    found = [slow(1), slow(2), slow(3)]
    world.read(0, "slow_query", *found)
    world.restart(30)
    world.read(60, "slow_query", *found)
    assert leading(world) == ["statement 1"]


def test_one_that_is_silenced_leads_nobody(world: World) -> None:
    """Otherwise who silences one query would not hear of the others."""
    found = [slow(1), slow(2), slow(3)]
    world.read(0, "slow_query", *found)
    quiet = Silence(
        id=1,
        author="ana",
        reason="known",
        created_at=world.clock.utc,
        ends_at=world.clock.utc,
        match=(("subject", "statement 1"),),
    )
    world.silenced = lambda incident, _now: quiet if incident.subject == "statement 1" else None
    world.restart(1)
    world.read(60, "slow_query", *found)
    assert leading(world) == ["statement 1", "statement 2"]
    assert of(world, "statement 3").parent_id == of(world, "statement 2").id


def test_who_hears_of_other_things_has_a_message_of_their_own(world: World) -> None:
    world.routes = [Route(match={"database": ("shop",)}, sinks=("shop",)), Route(sinks=("all",))]
    found = [slow(number, database="shop" if number % 2 else "crm") for number in range(1, 7)]
    world.read(0, "slow_query", *found)
    assert leading(world) == ["statement 1", "statement 2"]


def test_what_something_explains_is_in_no_company(world: World) -> None:
    explained = [slow(number, about=CHAIN.explains) for number in (1, 2, 3)]
    world.read(0, "slow_query", *explained)
    world.read_all(60, {"blocking_chain": [CHAIN], "slow_query": explained})
    chain = world.incident("blocking_chain")
    assert {of(world, f"statement {number}").parent_id for number in (1, 2, 3)} == {chain.id}


def test_a_target_that_was_down_has_them_together_again(world: World) -> None:
    found = [slow(1), slow(2), slow(3)]
    down = finding("target_down", "server", Level.CRITICAL)
    world.read(0, "slow_query", *found)
    world.read(0, "target_down", down)
    world.read(30, "target_down", down)
    assert leading(world) == ["server"]
    world.read(60, "target_down")
    assert leading(world) == ["statement 1"]
    assert of(world, "statement 2").state is State.UNKNOWN


def test_one_schema_change_is_told_once_for_each_database(world: World) -> None:
    """A restore leaves many constraints that are not valid, and indexes too."""
    left = [finding("constraint_not_valid", f"orders_{n}", database="shop") for n in range(4)]
    index = finding("invalid_index", "orders_idx", database="shop")
    other = finding("constraint_not_valid", "leads_fk", database="crm")
    world.read(0, "constraint_not_valid", *left, scope=Scope(databases=frozenset({"shop"})))
    world.read(0, "constraint_not_valid", other, scope=Scope(databases=frozenset({"crm"})))
    world.read(600, "invalid_index", index)
    assert leading(world) == ["leads_fk", "orders_0"]
    assert of(world, "orders_idx").parent_id == of(world, "orders_0").id
    assert of(world, "orders_0").evidence.notes[0] == "5 began together: it looks like a schema change"
