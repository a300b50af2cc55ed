"""A delta is what ran: never negative, never guessed, and it says what it cannot tell."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pgvigil.model.snapshot import Delta
from pgvigil.statements import COUNTERS, StatementChanges, StatementKey, keys
from queries.delta import StatementDeltas
from tests.support.statements import FakeStatements, key

VERSIONS = (13, 14, 17)
A, B, C = key(1), key(2), key(-3, toplevel=False)
Step = Callable[[], object]


def ran(delta: Delta[StatementChanges]) -> dict[StatementKey, int]:
    return dict(zip(keys(delta.rows.ran), delta.rows.ran["calls"].tolist(), strict=True))


def uncovered(delta: Delta[StatementChanges]) -> set[StatementKey]:
    return set(keys(delta.rows.uncovered))


def between(server: FakeStatements, *steps: Step) -> Delta[StatementChanges]:
    """The delta over `steps`, from a reading before them to one after."""
    deltas = StatementDeltas()
    deltas.take(server.snapshot(0))
    for step in steps:
        step()
    return deltas.take(server.snapshot(60))


def server_with(*known: StatementKey, version: int = 17) -> FakeStatements:
    server = FakeStatements(version)
    for each in known:
        server.run(each, 10)
    return server


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_reading_tells_nothing(version: int) -> None:
    delta = StatementDeltas().take(server_with(A, version=version).snapshot(0))
    assert delta.unknown == "this is the first reading"
    assert ran(delta) == {}
    assert uncovered(delta) == {A}


@pytest.mark.parametrize("version", VERSIONS)
def test_only_what_ran_is_told_with_every_counter(version: int) -> None:
    server = server_with(A, B, C, version=version)
    delta = between(server, lambda: server.run(C, 3, ms=2.0))
    assert (delta.unknown, delta.elapsed_s) == (None, 60.0)
    assert (ran(delta), uncovered(delta)) == ({C: 3}, set())
    told = {name: delta.rows.ran[name].tolist() for name in COUNTERS}
    assert told == {**{name: [3] for name in COUNTERS}, "exec_ms": [6.0]}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_report_that_runs_once_is_seen(version: int) -> None:
    """A new entry counts in full when nothing was evicted, reset or restarted in between."""
    server = server_with(A, version=version)
    delta = between(server, lambda: server.run(B, 1, ms=9000.0))
    assert (ran(delta), uncovered(delta)) == ({B: 1}, set())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_statement_of_an_empty_server_is_seen(version: int) -> None:
    server = FakeStatements(version)
    assert ran(between(server, lambda: server.run(A))) == {A: 1}


@pytest.mark.parametrize(("version", "known"), [(13, {}), (14, {}), (17, {B: 2, C: 1})])
def test_behind_an_eviction_a_new_entry_is_told_only_where_the_server_dates_it(
    version: int, known: dict[StatementKey, int]
) -> None:
    server = server_with(A, B, version=version)
    steps: tuple[Step, ...] = (
        lambda: server.evict(A),
        lambda: server.run(C),
        lambda: server.evict(B),
        lambda: server.run(B, 2),
    )
    delta = between(server, *steps)
    assert delta.unknown is None
    assert ran(delta) == known
    assert uncovered(delta) == {A} | ({B, C} - set(known))


def test_what_an_eviction_left_alone_is_told() -> None:
    server = server_with(A, B, version=14)
    delta = between(server, lambda: server.evict(A), lambda: server.run(B, 4))
    assert ran(delta) == {B: 4}
    assert uncovered(delta) == {A}


@pytest.mark.parametrize(("version", "known"), [(13, {B: 4}), (14, {B: 4}), (17, {A: 2, B: 4})])
def test_a_single_entry_that_was_reset_is_unknown_unless_it_is_dated(
    version: int, known: dict[StatementKey, int]
) -> None:
    server = server_with(A, B, version=version)
    delta = between(server, lambda: server.reset_one(A), lambda: server.run(A, 2), lambda: server.run(B, 4))
    assert delta.unknown is None
    assert ran(delta) == known
    assert uncovered(delta) == {A, B} - set(known)


@pytest.mark.parametrize(("version", "known"), [(14, {}), (17, {A: 2})])
def test_a_reset_of_everything_makes_the_interval_unknown(
    version: int, known: dict[StatementKey, int]
) -> None:
    server = server_with(A, B, version=version)
    delta = between(server, server.reset, lambda: server.run(A, 2))
    assert delta.unknown == "the statistics were reset"
    assert ran(delta) == known


def test_a_reset_that_nothing_dates_is_seen_by_what_fell_and_vanished() -> None:
    server = server_with(A, B, version=13)
    delta = between(server, server.reset, lambda: server.run(A, 2), lambda: server.run(C, 2))
    assert (ran(delta), uncovered(delta)) == ({}, {A, B, C})


@pytest.mark.parametrize("version", [14, 17])
def test_a_reset_while_the_entries_are_read_is_noticed_by_both_intervals(version: int) -> None:
    server = server_with(A, version=version)
    deltas = StatementDeltas()
    deltas.take(server.snapshot(0))
    opened = server.info()
    server.reset()
    server.run(A)
    assert deltas.take(server.snapshot(60, opened=opened)).unknown == "the statistics were reset"
    server.run(A)
    assert deltas.take(server.snapshot(120)).unknown == "the statistics were reset"
    server.run(A)
    last = deltas.take(server.snapshot(180))
    assert (last.unknown, ran(last)) == (None, {A: 1})


@pytest.mark.parametrize(("version", "known"), [(13, {}), (14, {}), (17, {A: 2})])
def test_over_a_restart_only_dated_entries_are_told(version: int, known: dict[StatementKey, int]) -> None:
    server = server_with(A, version=version)
    delta = between(server, server.restart, lambda: server.run(A, 2))
    assert delta.unknown == (None if version == 17 else "the server was restarted")
    assert ran(delta) == known


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("in_recovery", True, "the server changed its role"),
        ("system_identifier", 8, "another server answers (its system identifier differs)"),
    ],
)
def test_another_server_or_role_tells_nothing_of_the_interval(
    version: int, name: str, value: object, reason: str
) -> None:
    server = server_with(A, version=version)
    delta = between(server, lambda: setattr(server, name, value), lambda: server.run(A))
    assert delta.unknown == reason
    assert ran(delta) == {}
    assert uncovered(delta) == {A}


def test_a_clone_that_was_already_running_is_another_server() -> None:
    """Standbys share the identifier of their primary, and often its name in the DNS."""
    clone = server_with(A, B)
    clone.restart()
    server = server_with(A)
    server.ticks = clone.ticks
    deltas = StatementDeltas()
    deltas.take(server.snapshot(0))
    delta = deltas.take(clone.snapshot(60))
    assert delta.unknown == "another server answers (it was already running before)"
    assert ran(delta) == {}


def test_a_statement_that_was_running_at_the_reading_before_counts_in_full() -> None:
    """Its entry began when it was parsed, and is shown since it ended: a report longer than the interval."""
    server = server_with(A, B)
    running = server.entries.pop(B)
    delta = between(server, lambda: server.entries.update({B: running}))
    assert (ran(delta), uncovered(delta)) == ({B: 10}, set())


@pytest.mark.parametrize("version", [13, 14, 17])
def test_an_old_entry_that_our_role_may_see_only_now_is_not_counted(version: int) -> None:
    server = server_with(A, B, key(0), version=version)
    hidden = server.entries.pop(B)
    delta = between(server, lambda: server.entries.update({B: hidden}))
    assert (ran(delta), uncovered(delta)) == ({}, {B})


@pytest.mark.parametrize(("version", "known"), [(13, {}), (14, {}), (17, {A: 10})])
def test_time_without_a_call_means_that_the_entry_came_again(
    version: int, known: dict[StatementKey, int]
) -> None:
    server = server_with(A, version=version)
    delta = between(server, lambda: server.evict(A), lambda: server.run(A, 10, ms=5.0))
    assert ran(delta) == known
    assert uncovered(delta) == {A} - set(known)


def test_a_statement_that_was_only_planned_did_not_run() -> None:
    """With track_planning an entry exists before its first execution."""
    server = server_with(A)
    delta = between(server, lambda: server.run(B, 0))
    assert (ran(delta), uncovered(delta)) == ({}, set())


def test_a_gap_is_told_and_its_sums_are_still_true() -> None:
    server = server_with(A)
    deltas = StatementDeltas()
    deltas.take(server.snapshot(0))
    server.run(A, 5)
    delta = deltas.take(server.snapshot(3600))
    assert (delta.unknown, ran(delta)) == ("no reading for 3600 s", {A: 5})


def test_entries_that_our_role_may_not_see_are_counted_and_left_out() -> None:
    server = server_with(A, key(0), key(0, userid=11))
    delta = between(server, lambda: server.run(A), lambda: server.run(key(0)))
    assert ran(delta) == {A: 1}
    assert delta.rows.hidden == 2


@pytest.mark.parametrize("version", [14, 17])
def test_a_new_entry_of_a_role_that_we_may_see_counts_though_others_are_hidden(version: int) -> None:
    server = server_with(A, key(0, userid=11), version=version)
    assert ran(between(server, lambda: server.run(B, 3))) == {B: 3}


def test_time_of_nested_statements_is_not_counted_twice() -> None:
    server = server_with(A, C)
    delta = between(server, lambda: server.run(A, 1, ms=50.0), lambda: server.run(C, 1, ms=40.0))
    assert delta.rows.exec_ms == 50.0


def test_entries_in_another_order_are_the_same_entries() -> None:
    server = server_with(*(key(number, dbid=number % 3, userid=number % 2) for number in range(1, 50)))
    deltas = StatementDeltas()
    deltas.take(server.snapshot(0))
    server.entries = dict(reversed(server.entries.items()))
    server.run(key(7, dbid=1, userid=1), 2)
    delta = deltas.take(server.snapshot(60))
    assert (ran(delta), uncovered(delta)) == ({key(7, dbid=1, userid=1): 2}, set())


KEYS = st.sampled_from([A, B, C, key(1, dbid=6), key(1, userid=11), key(1, toplevel=False)])


class History(RuleBasedStateMachine):
    """Random histories of a server, read at random times, against what really ran."""

    @initialize(version=st.sampled_from(VERSIONS))
    def begin(self, version: int) -> None:
        self.server = FakeStatements(version)
        self.deltas = StatementDeltas()
        self.at_s = 0.0
        self.deltas.take(self.server.snapshot(0))

    @rule(which=KEYS, calls=st.integers(1, 5), ms=st.floats(0.001, 1e6))
    def run(self, which: StatementKey, calls: int, ms: float) -> None:
        self.server.run(which, calls, ms)

    @rule(which=KEYS)
    def evict(self, which: StatementKey) -> None:
        self.server.evict(which)

    @rule(which=KEYS)
    def reset_one(self, which: StatementKey) -> None:
        self.server.reset_one(which)

    @rule()
    def reset(self) -> None:
        self.server.reset()

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        self.server.restart(crash=crash)

    @rule()
    def reorder(self) -> None:
        self.server.entries = dict(sorted(self.server.entries.items(), reverse=True))

    @rule()
    def read(self) -> None:
        truth, disturbed = dict(self.server.ran), self.server.disturbed
        self.at_s += 60
        delta = self.deltas.take(self.server.snapshot(self.at_s))
        told = ran(delta)
        assert all((delta.rows.ran[name] >= 0).all() for name in COUNTERS)
        assert not set(told) & uncovered(delta)
        assert all(0 < calls <= truth.get(which, 0) for which, calls in told.items())
        if not disturbed:
            assert (delta.unknown, told, uncovered(delta)) == (None, truth, set())


def test_no_history_makes_a_delta_lie() -> None:
    """Never negative, never more than ran; exact where nothing was discarded in between."""
    quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(History, settings=quick)


def test_fifty_thousand_statements_are_compared_by_key() -> None:
    server = FakeStatements(14)
    rng = np.random.default_rng(1)
    template = server.snapshot(0).rows.entries.columns
    before = {name: np.ones(50_000, column.dtype) for name, column in template.items()}
    before["queryid"] = rng.integers(-(2**63), 2**63, 50_000)
    order = rng.permutation(50_000)
    after = {name: column[order] for name, column in before.items()}
    after["calls"] = after["calls"] + np.arange(1, 50_001)
    deltas = StatementDeltas()
    for at_s, entries in ((0, before), (60, after)):
        shot = server.snapshot(at_s)
        shot.rows.entries.columns.update(entries)
        delta = deltas.take(shot)
    assert (delta.rows.ran["calls"] == np.arange(1, 50_001)).all()
    assert len(delta.rows.uncovered) == 0
