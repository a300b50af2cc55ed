"""Whole stories of trouble: one fault is one incident, from the first sign to the last."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pgvigil.model.evidence import Evidence
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.store import StoreError
from tests.unit.alerts.acting import finding
from tests.unit.alerts.cast import CHAIN, IDLE, LONG, SLOW
from tests.unit.alerts.world import World, rule

# --- a chain and its sessions -----------------------------------------------------------------------------


def test_an_incident_of_the_root_that_was_open_before_becomes_the_child_of_the_chain(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    assert world.read(5, "blocking_chain", CHAIN) == [
        "blocking_chain fired",
        "idle_in_transaction suppressed",
    ]
    chain, child = world.incident("blocking_chain"), world.incident("idle_in_transaction")
    assert (child.parent_id, child.suppressed_by, child.state) == (chain.id, chain.name, State.FIRING)
    assert world.stored(child) == child


def test_the_first_message_of_the_chain_already_names_its_child(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(5, "blocking_chain", CHAIN)
    [fired] = [one.after for one in world.written if one.kind == "fired" and one.after.rule == CHAIN.rule]
    assert fired.evidence.notes == (
        "root is idle",
        "INC-1 idle_in_transaction: Idle in transaction for 5m: pid 8123",
    )


def test_the_child_stands_for_itself_again_when_it_is_seen_without_the_chain(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(5, "blocking_chain", CHAIN)
    assert world.read(30, "blocking_chain") == ["blocking_chain refreshed"]
    assert world.read(30, "blocking_chain") == ["blocking_chain resolved"]
    assert world.incident("idle_in_transaction").marks == ("suppressed",), "not before its own next reading"
    assert world.read(5, "idle_in_transaction", IDLE) == ["idle_in_transaction unsuppressed"]
    assert world.incident("idle_in_transaction").marks == ()


def test_a_child_out_of_sight_is_not_hidden_for_ever_behind_a_chain_that_is_long_over(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(5, "blocking_chain", CHAIN)
    world.lose(5, "idle_in_transaction")
    world.read(60, "blocking_chain")
    assert world.read(3599, "blocking_chain") == []
    assert world.read(5, "blocking_chain") == []
    assert world.read(5, "blocking_chain") == ["idle_in_transaction unsuppressed"]


def test_a_child_that_ends_with_the_chain_never_stands_for_itself(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(5, "blocking_chain", CHAIN)
    world.read(60, "blocking_chain")
    world.read(5, "idle_in_transaction")
    assert world.open() == []
    assert "unsuppressed" not in world.kinds("idle_in_transaction")


def test_a_finding_about_a_session_of_the_chain_opens_nothing_and_is_a_note(world: World) -> None:
    world.read(0, "blocking_chain", CHAIN)
    assert world.read(5, "idle_in_transaction", IDLE) == []
    assert world.read(30, "blocking_chain", CHAIN) == ["blocking_chain refreshed"]
    chain = world.incident("blocking_chain")
    assert chain.evidence.notes[1:] == ("idle_in_transaction: Idle in transaction for 5m: pid 8123",)
    assert (chain.version, world.open()) == (2, ["blocking_chain"])


def test_a_note_is_one_line_with_the_latest_figures(world: World) -> None:
    world.read(0, "blocking_chain", CHAIN)
    for minutes in (5, 6, 7):
        world.read(10, "idle_in_transaction", replace(IDLE, summary=f"Idle for {minutes}m"))
    world.read(30, "blocking_chain", CHAIN)
    assert world.incident("blocking_chain").evidence.notes[1:] == ("idle_in_transaction: Idle for 7m",)


def test_a_note_that_was_told_with_the_first_message_is_no_news_later(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(5, "blocking_chain", CHAIN)
    assert world.read(30, "blocking_chain", CHAIN) == ["blocking_chain refreshed"]
    assert world.incident("blocking_chain").version == 1


def test_what_has_nearly_recovered_is_no_note(world: World) -> None:
    world.read(0, "blocking_chain", CHAIN)
    world.read(5, "idle_in_transaction", replace(IDLE, level=Level.HOLD))
    world.read(30, "blocking_chain", CHAIN)
    assert world.incident("blocking_chain").evidence.notes == ("root is idle",)


def test_another_episode_has_its_own_notes(world: World) -> None:
    world.read(0, "blocking_chain", CHAIN)
    world.read(5, "idle_in_transaction", IDLE)
    world.read(60, "blocking_chain")
    assert world.read(60, "blocking_chain", CHAIN) == ["blocking_chain reopened"]
    assert world.incident("blocking_chain").evidence.notes == ("root is idle",)


def test_forty_victims_are_one_incident_with_a_few_lines(world: World) -> None:
    victims = [f"session {number}@t" for number in range(40)]
    wide = replace(CHAIN, explains=frozenset(victims))
    world.read(0, "blocking_chain", wide)
    found = [finding("idle_in_transaction", one, about=frozenset({one})) for one in victims]
    world.read(5, "idle_in_transaction", *found)
    world.read(30, "blocking_chain", wide)
    assert world.open() == ["blocking_chain"]
    notes = world.incident("blocking_chain").evidence.notes
    assert (len(notes), notes[-1]) == (10, "and 32 more")


def test_what_is_pending_when_the_chain_fires_is_dropped_and_becomes_a_note(world: World) -> None:
    world.read(0, "slow_query", SLOW)
    world.read(30, "blocking_chain", CHAIN)
    assert world.read(30, "slow_query", SLOW) == ["slow_query dropped"]
    assert world.read(60, "slow_query", SLOW) == []
    assert world.open() == ["blocking_chain"]


def test_a_child_goes_on_living(world: World) -> None:
    """It worsens, is lost from sight and resolves like any other; the mark stays."""
    world.read(0, "idle_in_transaction", IDLE)
    world.read(5, "blocking_chain", CHAIN)
    world.read(5, "idle_in_transaction", replace(IDLE, level=Level.CRITICAL))
    world.lose(5, "idle_in_transaction")
    world.read(5, "idle_in_transaction", IDLE)
    world.read(5, "idle_in_transaction")
    kinds = ["fired", "suppressed", "worse", "unknown", "known", "resolved"]
    assert world.kinds("idle_in_transaction") == kinds
    assert world.written[-1].after.marks == ("suppressed",)


def test_a_chain_out_of_sight_still_explains(world: World) -> None:
    world.read(0, "blocking_chain", CHAIN)
    world.lose(5, "blocking_chain")
    assert world.read(5, "idle_in_transaction", IDLE) == []


def test_a_pending_chain_explains_nothing_yet(world: World) -> None:
    world.rules["blocking_chain"] = rule("blocking_chain", for_s=60, absorbs=["idle_in_transaction"])
    world.restart(0)
    world.read(0, "blocking_chain", CHAIN)
    assert world.read(5, "idle_in_transaction", IDLE) == ["idle_in_transaction fired"]


def test_other_peoples_trouble_is_not_absorbed(world: World) -> None:
    world.read(0, "blocking_chain", CHAIN)
    other = finding("idle_in_transaction", "session 1@t", about=frozenset({"session 1@t"}))
    assert world.read(5, "idle_in_transaction", other) == ["idle_in_transaction fired"]


# --- ancestors --------------------------------------------------------------------------------------------


def test_what_includes_another_is_judged_first_in_the_same_reading(world: World) -> None:
    """An idle transaction is also a long one: one incident, whatever the order of the answers."""
    world.read_all(0, {"long_transaction": [LONG], "idle_in_transaction": [IDLE]})
    assert world.open() == ["idle_in_transaction"]
    assert world.incident("idle_in_transaction").evidence.notes == (
        "long_transaction: Open for 30m: pid 8123",
    )


def test_the_topmost_incident_takes_all_generations(world: World) -> None:
    """long_transaction first, then idle_in_transaction, then the chain: at the end both are its children."""
    world.read(0, "long_transaction", LONG)
    world.read_all(5, {"long_transaction": [LONG], "idle_in_transaction": [IDLE]})
    idle = world.incident("idle_in_transaction")
    assert world.incident("long_transaction").parent_id == idle.id
    world.read(5, "blocking_chain", CHAIN)
    chain = world.incident("blocking_chain")
    world.read_all(5, {"long_transaction": [LONG], "idle_in_transaction": [IDLE]})
    parents = {one.rule: one.parent_id for one in world.engine.open()}
    assert parents == {"blocking_chain": None, "idle_in_transaction": chain.id, "long_transaction": chain.id}


# --- statements of the victims ----------------------------------------------------------------------------


def _ended_chain(world: World) -> None:
    world.read(0, "blocking_chain", CHAIN)
    world.read(60, "blocking_chain")
    assert world.kinds("blocking_chain")[-1] == "resolved"


def test_victims_reach_the_statements_after_the_end_and_are_still_explained(world: World) -> None:
    """Their figures reach back before the end: a note in the message that already says resolved."""
    _ended_chain(world)
    reaching_back = replace(SLOW, measured_from=world.clock.utc - timedelta(seconds=30))
    assert world.read(30, "slow_query", reaching_back) == ["blocking_chain refreshed"]
    chain = world.written[-1].after
    assert chain.state is State.RESOLVED
    assert chain.evidence.notes[-1] == "slow_query: UPDATE orders: 40s"
    assert world.store.deliveries.of_incident(chain.id)[0].want_version == chain.version
    assert world.open() == []


def test_the_notes_of_what_has_ended_outlive_a_nearly(world: World) -> None:
    """A value in the band between clear and warning reopens nothing and takes nothing away."""
    _ended_chain(world)
    world.read(5, "blocking_chain", replace(CHAIN, level=Level.HOLD, evidence=Evidence()))
    reaching_back = replace(SLOW, measured_from=world.clock.utc - timedelta(seconds=30))
    world.read(5, "slow_query", reaching_back)
    assert world.written[-1].after.evidence.notes == ("root is idle", "slow_query: UPDATE orders: 40s")


def test_the_next_interval_is_not_explained_any_more(world: World) -> None:
    _ended_chain(world)
    later = replace(SLOW, measured_from=world.clock.utc + timedelta(seconds=30))
    assert world.read(90, "slow_query", later) == ["slow_query opened"]


def test_what_the_victims_did_is_still_explained_after_a_restart(world: World) -> None:
    _ended_chain(world)
    reaching_back = replace(SLOW, measured_from=world.clock.utc - timedelta(seconds=30))
    world.restart(away_s=10)
    world.read(20, "slow_query", reaching_back)
    assert world.open() == []


def test_a_rule_that_does_not_linger_explains_nothing_after_its_end(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(5, "idle_in_transaction")
    reaching_back = replace(LONG, measured_from=world.clock.utc - timedelta(seconds=3))
    assert world.read(5, "long_transaction", reaching_back) == ["long_transaction fired"]


# --- restarts and faults in the middle --------------------------------------------------------------------


def test_a_child_is_still_a_child_after_a_restart(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(5, "blocking_chain", CHAIN)
    before = world.engine.open()
    world.restart(away_s=30)
    assert world.engine.open() == before
    world.read(5, "idle_in_transaction", IDLE)
    world.read(5, "blocking_chain", CHAIN)
    assert world.incident("idle_in_transaction").suppressed_by == world.incident("blocking_chain").name


@pytest.mark.parametrize("good", [0, 1])
def test_a_disk_that_fills_between_the_chain_and_its_child_delays_the_mark(world: World, good: int) -> None:
    """Both writes, or the second alone, fail; with space again everything is as it should be."""
    world.read(0, "idle_in_transaction", IDLE)
    world.disk.fails_after = good
    with pytest.raises(StoreError):
        world.read(5, "blocking_chain", CHAIN)
    assert world.incident("idle_in_transaction").marks == ()
    assert ("blocking_chain" in world.open()) is bool(good)
    world.disk.fails_after = None
    world.read(5, "blocking_chain", CHAIN)
    assert world.incident("idle_in_transaction").suppressed_by == world.incident("blocking_chain").name
    assert world.kinds("blocking_chain").count("fired") == 1
