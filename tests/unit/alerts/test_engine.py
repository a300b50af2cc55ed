"""Readings go in; what is written, and who is to hear of it, comes out."""

import threading
from dataclasses import replace

import pytest

from alerts.routes import Route
from pgvigil.model.delivery import Delivery, DeliveryStatus
from pgvigil.model.evidence import Evidence
from pgvigil.model.finding import NOTHING, Judgement, Scope
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.store import StoreError
from tests.unit.alerts.acting import finding
from tests.unit.alerts.world import World

IDLE = finding("idle_in_transaction", "session 8123@t", database="orders")
LONG = finding("long_transaction", "session 9@t", database="billing")
SLOW = finding("slow_query", "statement 1/10/7", database="orders")


def deliveries(world: World, incident: Incident) -> list[Delivery]:
    return world.store.deliveries.of_incident(incident.id)


def test_an_incident_is_stored_before_it_holds(world: World) -> None:
    assert world.read(0, "idle_in_transaction", IDLE) == ["idle_in_transaction fired"]
    incident = world.incident("idle_in_transaction")
    assert (incident.name, incident.labels) == ("INC-1", (("env", "prod"),))
    assert world.stored(incident) == incident


def test_who_hears_of_it_is_written_with_it(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    [row] = deliveries(world, world.incident("idle_in_transaction"))
    assert (row.sink, row.want_version, row.urgency, row.mention) == ("all", 1, Level.WARNING, "<!here>")


def test_nobody_hears_of_what_has_not_fired(world: World) -> None:
    world.read(0, "slow_query", SLOW)
    assert deliveries(world, world.incident("slow_query")) == []
    world.read(60, "slow_query")
    assert world.open() == []


def test_a_sink_that_was_told_hears_of_what_follows_when_the_severity_changes(world: World) -> None:
    """The routes name one sink for warnings and another for what is critical: both see the resolve."""
    world.routes = [
        Route(match={"severity": (word,)}, sinks=(sink,))
        for word, sink in (("warning", "low"), ("critical", "high"))
    ]
    world.read(0, "idle_in_transaction", IDLE)
    world.read(1, "idle_in_transaction", replace(IDLE, level=Level.CRITICAL))
    incident = world.incident("idle_in_transaction")
    world.read(1, "idle_in_transaction")
    version = world.stored(incident).version
    assert {row.sink: row.want_version for row in deliveries(world, incident)} == {
        "low": version,
        "high": version,
    }


def test_a_refresh_that_shows_nothing_new_wakes_nobody(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    incident = world.incident("idle_in_transaction")
    [row] = deliveries(world, incident)
    world.store.deliveries.settle(
        row, version=1, state=incident.state, level=incident.severity, remote={}, at=world.clock.utc
    )
    assert world.read(30, "idle_in_transaction", IDLE) == ["idle_in_transaction refreshed"]
    assert [row.status for row in deliveries(world, incident)] == [DeliveryStatus.SETTLED]


def test_an_evaluation_that_changes_nothing_writes_nothing(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    commits = world.disk.commits
    for _ in range(5):
        world.read(5, "idle_in_transaction", IDLE)
    assert world.disk.commits == commits


def test_two_findings_about_one_subject_are_one_incident_at_the_worse_level(world: World) -> None:
    world.read(0, "idle_in_transaction", replace(IDLE, level=Level.CRITICAL), IDLE)
    assert world.incident("idle_in_transaction").severity is Level.CRITICAL


# --- scopes -----------------------------------------------------------------------------------------------


def test_a_reading_of_one_database_says_nothing_of_another(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    here, there = Scope(databases=frozenset({"orders"})), Scope(databases=frozenset({"billing"}))
    assert world.read(5, "idle_in_transaction", scope=there) == []
    assert world.incident("idle_in_transaction").state is State.FIRING
    assert world.read(5, "idle_in_transaction", scope=here) == ["idle_in_transaction resolved"]


@pytest.mark.parametrize(
    "scope",
    [
        Scope(not_covered=frozenset({IDLE.subject}), reason="locked"),
        Scope(only=frozenset({"session 1@t"}), reason="locked"),
        Scope(databases=frozenset(), reason="locked"),
    ],
)
def test_what_a_scope_leaves_out_is_unknown(world: World, scope: Scope) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    assert world.read(5, "idle_in_transaction", scope=scope) == ["idle_in_transaction unknown"]
    assert world.incident("idle_in_transaction").reason == "locked"


def test_an_answer_about_nothing_changes_nothing(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    assert world.read(5, "idle_in_transaction", scope=NOTHING) == []
    assert world.incident("idle_in_transaction").state is State.FIRING


def test_a_database_that_cannot_be_read_makes_its_incidents_unknown_and_no_others(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(0, "long_transaction", LONG)
    assert world.lose(5, database="orders") == ["idle_in_transaction unknown"]
    assert world.lose(5, "long_transaction", why="permission denied") == ["long_transaction unknown"]
    assert world.incident("long_transaction").reason == "permission denied"


def test_a_dropped_database_resolves_its_incidents_with_the_reason(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(0, "long_transaction", LONG)
    world.engine.database_dropped("orders", world.clock.after(5))
    assert world.open() == ["long_transaction"]
    assert world.written[-1].after.reason == "the database was dropped or is no longer watched"


def test_a_removed_target_leaves_nothing_open(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(0, "slow_query", SLOW)
    world.engine.retire()
    world.engine.catch_up(world.clock.after(5))
    assert world.open() == []
    assert world.kinds("slow_query") == ["opened", "dropped"]


# --- restarts ---------------------------------------------------------------------------------------------


def test_a_restart_changes_nothing_by_itself(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(0, "long_transaction", LONG)
    world.lose(5, "long_transaction")
    world.read(5, "slow_query", SLOW)
    before = world.engine.open()
    world.restart(away_s=600)
    assert world.engine.open() == before


def test_after_a_restart_only_a_reading_resolves(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.restart(away_s=5)
    assert world.lose(5) == ["idle_in_transaction unknown"]
    world.restart(away_s=5)
    assert world.read(5, "idle_in_transaction") == ["idle_in_transaction resolved"]


def test_a_pending_incident_continues_after_a_restart(world: World) -> None:
    world.read(0, "slow_query", SLOW)
    world.read(60, "slow_query", SLOW)
    world.restart(away_s=20)
    assert world.read(10, "slow_query", SLOW) == []
    assert world.read(40, "slow_query", SLOW) == ["slow_query fired"]


def test_it_reopens_across_a_restart_under_its_id(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    incident = world.incident("idle_in_transaction")
    world.read(5, "idle_in_transaction")
    world.restart(away_s=1800)
    assert world.read(5, "idle_in_transaction", IDLE) == ["idle_in_transaction reopened"]
    assert world.incident("idle_in_transaction").id == incident.id


def test_incidents_of_a_rule_that_was_switched_off_end_at_the_start(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    del world.rules["idle_in_transaction"]
    world.restart(away_s=5)
    assert world.open() == []
    assert world.written[-1].after.reason == "the rule was removed or switched off"


# --- a store that cannot be written -----------------------------------------------------------------------


def test_what_cannot_be_written_does_not_hold_and_is_tried_again(world: World) -> None:
    world.disk.fails_after = 0
    for _ in range(2):
        with pytest.raises(StoreError):
            world.read(5, "idle_in_transaction", IDLE)
    assert (world.open(), world.written, world.engine.store_failures) == ([], [], 2)
    world.disk.fails_after = None
    assert world.read(5, "idle_in_transaction", IDLE) == ["idle_in_transaction fired"]


def test_a_gap_that_could_not_be_written_still_stops_the_clock(world: World) -> None:
    """120 s must be watched: the gap during which the disk was full is not among them."""
    world.read(0, "slow_query", SLOW)
    world.read(5, "idle_in_transaction", IDLE)
    world.disk.fails_after = 0
    with pytest.raises(StoreError):
        world.lose(55)
    assert world.incident("idle_in_transaction").state is State.FIRING
    world.disk.fails_after = None
    assert world.read(1000, "slow_query", SLOW) == ["slow_query refreshed"]
    assert world.read(60, "slow_query", SLOW) == ["slow_query fired"]


def test_an_end_that_could_not_be_written_still_starts_the_clock_anew(world: World) -> None:
    """It was gone at 60 s: what is seen at 120 s has not held for 120 s."""
    world.read(0, "slow_query", SLOW)
    world.disk.fails_after = 0
    with pytest.raises(StoreError):
        world.read(60, "slow_query")
    world.disk.fails_after = None
    assert world.read(60, "slow_query", SLOW) == ["slow_query refreshed"]
    assert world.read(60, "slow_query", SLOW) == ["slow_query fired"]


def test_figures_that_could_not_be_written_are_written_next_time(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.disk.fails_after = 0
    with pytest.raises(StoreError):
        world.read(30, "idle_in_transaction", replace(IDLE, summary="worse now"))
    world.disk.fails_after = None
    assert world.read(1, "idle_in_transaction", replace(IDLE, summary="worse now")) == [
        "idle_in_transaction refreshed"
    ]
    assert world.incident("idle_in_transaction").version == 2


def test_a_reopening_that_could_not_be_written_keeps_its_id_when_it_can(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    incident = world.incident("idle_in_transaction")
    world.read(5, "idle_in_transaction")
    world.disk.fails_after = 0
    with pytest.raises(StoreError):
        world.read(5, "idle_in_transaction", IDLE)
    world.disk.fails_after = None
    assert world.read(5, "idle_in_transaction", IDLE) == ["idle_in_transaction reopened"]
    assert world.incident("idle_in_transaction").id == incident.id


# --- many, and for long -----------------------------------------------------------------------------------


def test_memory_does_not_grow_with_what_is_long_over(world: World) -> None:
    for number in range(50):
        world.read(60, "idle_in_transaction", replace(IDLE, subject=f"session {number}@t"))
    world.read(3601, "idle_in_transaction")
    world.read(3601, "idle_in_transaction")
    book = world.engine._book
    assert (book.tracked, book.notes) == ({}, {})


# --- many at once -----------------------------------------------------------------------------------------


def test_lanes_may_report_at_the_same_time(world: World) -> None:
    """Three threads, each with its own rule and subjects: every incident is there once."""

    def report(rule: str) -> None:
        found = Judgement(tuple(finding(rule, f"session {number}@t") for number in range(20)), Scope())
        for _ in range(5):
            world.engine.observe("anything", [(rule, found)], world.clock.now)

    threads = [
        threading.Thread(target=report, args=(rule,))
        for rule in ("idle_in_transaction", "long_transaction", "blocking_chain")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(world.open()) == sorted(["idle_in_transaction", "long_transaction", "blocking_chain"] * 20)
    assert len(world.store.incidents.open("orders-prod")) == 60


def test_counts_are_by_rule_severity_and_state(world: World) -> None:
    world.read(0, "idle_in_transaction", IDLE)
    world.read(0, "slow_query", replace(SLOW, level=Level.CRITICAL, evidence=Evidence(impact="x")))
    assert world.engine.counts() == {
        ("idle_in_transaction", "warning", State.FIRING): 1,
        ("slow_query", "critical", State.PENDING): 1,
    }
