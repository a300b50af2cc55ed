"""What the configuration says of incidents: some are told as one, and some keep others quiet."""

from collections.abc import Sequence
from typing import Any

import pytest

from alerts.elsewhere import Elsewhere
from alerts.relations import Grouping, Inhibition, Relations
from alerts.routes import Route, pairs
from pgvigil.model.delivery import Want
from pgvigil.model.finding import Finding
from pgvigil.model.incident import Incident, Transition
from pgvigil.model.level import Level
from pgvigil.model.silence import Silence
from pgvigil.model.together import Together
from pgvigil.store import Store
from tests.unit.alerts.acting import Clock, finding
from tests.unit.alerts.world import World, rule

NIGHT = Grouping(
    match=pairs({"rule": ("bloat", "dead_*")}),
    by=("database",),
    together=Together(name="nightly load", least=2, within_s=600.0),
)
FULL = Inhibition(
    source=pairs({"rule": ("disk_full",), "severity": ("critical",)}),
    match=pairs({"severity": ("info", "warning")}),
    equal=("target",),
)


@pytest.fixture
def world(store: Store) -> World:
    made = World(store)
    made.rules |= {name: rule(name) for name in ("bloat", "dead_tuples", "disk_full", "archiver")}
    made.relations = Relations((NIGHT,), (FULL,))
    made.restart(0)
    return made


def bloat(subject: str, database: str = "shop") -> Finding:
    return finding("bloat", subject, database=database)


FILLED = finding("disk_full", "volume", Level.CRITICAL)
BEHIND = finding("archiver", "archiver")
QUIET = Silence(
    id=1,
    author="ana",
    reason="known",
    created_at=Clock().utc,
    ends_at=Clock().utc,
    match=(("rule", "disk_full"),),
)


def of(world: World, subject: str) -> Incident:
    [found] = [one for one in world.engine.open() if one.subject == subject]
    return found


def sharing(world: World, store: Store) -> World:
    """Another target, on the same storage."""
    match = {"rule": ("archiver",), "severity": ("info", "warning")}
    other = World(store, "billing")
    other.rules, other.elsewhere = world.rules, world.elsewhere
    world.relations = other.relations = Relations(
        (), (Inhibition(source=FULL.source, match=pairs(match), equal=("env",)),)
    )
    world.restart(0)
    other.restart(0)
    return other


def leading(world: World) -> list[str]:
    return sorted(one.subject for one in world.engine.open() if one.parent_id is None)


# --- groups -----------------------------------------------------------------------------------------------


def test_a_group_is_told_as_one_by_its_keys(world: World) -> None:
    dead = finding("dead_tuples", "orders", database="shop")
    world.read(0, "bloat", bloat("orders_idx"), bloat("leads_idx", "crm"))
    for _ in range(2):  # its number is known once it is written
        world.read(60, "dead_tuples", dead)
    assert leading(world) == ["leads_idx", "orders_idx"]
    assert of(world, "orders_idx").evidence.notes == (
        "2 began together: it looks like a nightly load",
        "INC-3 dead_tuples: orders is in trouble",
    )


def test_a_rule_that_no_group_names_is_told_by_itself(world: World) -> None:
    world.read_all(0, {"bloat": [bloat("a"), bloat("b")], "archiver": [BEHIND]})
    assert leading(world) == ["a", "archiver"]


def test_a_group_that_is_no_longer_configured_is_no_group_from_the_next_reading_on(world: World) -> None:
    world.read(0, "bloat", bloat("a"), bloat("b"))
    world.relations = Relations()
    world.read(60, "bloat", bloat("a"), bloat("b"))
    assert leading(world) == ["a", "b"]


# --- inhibitions ------------------------------------------------------------------------------------------


def test_while_the_source_fires_the_others_are_its_children(world: World) -> None:
    world.read(0, "archiver", BEHIND)
    world.read(10, "disk_full", FILLED)
    full = world.incident("disk_full")
    assert of(world, "archiver").suppressed_by == full.name
    for _ in range(3):
        assert set(world.read(60, "archiver", BEHIND)) <= {"archiver refreshed"}
    assert of(world, "archiver").parent_id == full.id


def test_what_begins_with_its_source_is_its_child_at_once(world: World) -> None:
    world.read_all(0, {"archiver": [BEHIND], "disk_full": [FILLED]})
    assert leading(world) == ["volume"]


def test_what_is_still_there_when_the_source_is_over_is_told(world: World) -> None:
    world.read_all(0, {"archiver": [BEHIND], "disk_full": [FILLED]})
    world.read(60, "disk_full")
    world.read(60, "archiver", BEHIND)
    assert leading(world) == ["archiver"]


def test_what_gets_too_bad_to_match_is_told(world: World) -> None:
    world.read_all(0, {"archiver": [BEHIND], "disk_full": [FILLED]})
    world.read(60, "archiver", finding("archiver", "archiver", Level.CRITICAL))
    assert leading(world) == ["archiver", "volume"]


def test_a_source_that_is_not_as_bad_as_asked_keeps_nothing_quiet(world: World) -> None:
    world.read_all(0, {"archiver": [BEHIND], "disk_full": [finding("disk_full", "volume")]})
    assert leading(world) == ["archiver", "volume"]


def test_two_that_match_each_other_do_not_both_fall_silent(world: World) -> None:
    everything = Inhibition(
        source=pairs({"target": ("*",)}), match=pairs({"target": ("*",)}), equal=("target",)
    )
    world.relations = Relations((), (everything,))
    world.read_all(0, {"archiver": [BEHIND], "disk_full": [FILLED], "bloat": [bloat("a")]})
    [heard] = leading(world)
    for _ in range(3):
        world.read_all(60, {"archiver": [BEHIND], "disk_full": [FILLED], "bloat": [bloat("a")]})
        assert leading(world) == [heard]


def test_a_source_that_is_silenced_keeps_nothing_quiet(world: World) -> None:
    """Otherwise who silences the cause would not hear of anything else either."""
    world.read_all(0, {"archiver": [BEHIND], "disk_full": [FILLED]})
    world.silenced = lambda one, _now: QUIET if one.rule == "disk_full" else None
    world.restart(5)
    world.read(60, "archiver", BEHIND)
    assert leading(world) == ["archiver", "volume"]


def test_what_begins_with_a_source_that_is_silenced_is_told_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    commit = world.disk.commit

    def watched(transitions: Sequence[Transition], wants: Sequence[Want], *rest: Any) -> list[Incident]:
        told.extend(transitions[want.index].after.rule for want in wants)
        return commit(transitions, wants, *rest)

    monkeypatch.setattr(world.disk, "commit", watched)
    world.silenced = lambda one, _now: QUIET if one.rule == "disk_full" else None
    world.restart(5)
    world.read_all(0, {"archiver": [BEHIND], "disk_full": [FILLED]})
    assert leading(world) == ["archiver", "volume"]
    assert "archiver" in told


def test_what_was_kept_quiet_stays_so_when_its_source_becomes_a_child_itself(world: World) -> None:
    """Somebody is told of all of it by then."""
    further = Inhibition(
        source=pairs({"rule": ("archiver",)}), match=pairs({"rule": ("bloat",)}), equal=("target",)
    )
    world.relations = Relations((), (FULL, further))
    found = {"archiver": [BEHIND], "bloat": [bloat("a")]}
    world.read_all(0, found)
    world.read(10, "disk_full", FILLED)
    world.read_all(60, found)
    assert leading(world) == ["volume"]


def test_it_lasts_over_a_restart(world: World) -> None:
    world.read_all(0, {"archiver": [BEHIND], "disk_full": [FILLED]})
    world.restart(30)
    world.read(60, "archiver", BEHIND)
    assert leading(world) == ["volume"]


def test_without_the_target_in_common_it_reaches_other_targets(world: World, store: Store) -> None:
    """A storage that several servers share, told by one of them."""
    other = sharing(world, store)
    behind = finding("archiver", "archiver", target="billing")
    other.read(0, "archiver", behind)
    assert of(other, "archiver").parent_id is None
    world.read(0, "disk_full", FILLED)
    for _ in range(3):
        other.read(60, "archiver", behind)
        assert of(other, "archiver").suppressed_by == world.incident("disk_full").name
    world.clock.after(180)
    world.read(0, "disk_full")
    other.read(60, "archiver", behind)
    other.read(180, "archiver", behind)
    assert of(other, "archiver").parent_id is None


def test_also_of_another_target_what_gets_too_bad_is_told(world: World, store: Store) -> None:
    other = sharing(world, store)
    world.read(0, "disk_full", FILLED)
    other.read(0, "archiver", finding("archiver", "archiver", target="billing"))
    assert of(other, "archiver").suppressed_by == world.incident("disk_full").name
    other.read(60, "archiver", finding("archiver", "archiver", Level.CRITICAL, target="billing"))
    assert of(other, "archiver").suppressed_by is None


def test_it_lasts_over_a_restart_whichever_target_is_taken_up_first(world: World, store: Store) -> None:
    other = sharing(world, store)
    world.read(0, "disk_full", FILLED)
    behind = finding("archiver", "archiver", target="billing")
    other.read(0, "archiver", behind)
    world.elsewhere = other.elsewhere = Elsewhere()
    other.restart(5)
    world.restart(5)
    assert set(other.read(60, "archiver", behind)) <= {"archiver refreshed"}
    assert of(other, "archiver").suppressed_by == world.incident("disk_full").name


def test_a_target_that_is_down_is_no_part_of_it(world: World) -> None:
    world.relations = Relations(
        (), (Inhibition(source=pairs({"rule": ("archiver",)}), match=pairs({"target": ("*",)}), equal=()),)
    )
    down = finding("target_down", "server", Level.CRITICAL)
    world.read(0, "archiver", BEHIND)
    world.read(0, "target_down", down)
    world.read(30, "target_down", down)
    assert leading(world) == ["server"]


def test_everybody_who_hears_of_the_child_need_not_hear_of_its_source(world: World) -> None:
    """It is what was asked for: unlike what pgvigil puts together itself."""
    world.routes = [Route(match={"rule": ("disk_full",)}, sinks=("pager",)), Route(sinks=("all",))]
    world.read_all(0, {"archiver": [BEHIND], "disk_full": [FILLED]})
    assert leading(world) == ["volume"]
