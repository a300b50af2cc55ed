"""When intervals stretch, by how much, and how soon they are as configured again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.activity import ActivityReading, Session, SessionGroup
from collectors.subscriptions import SubscriptionsReading
from daemon.pacing import DOUBLE_S, IDLE, MOST, QUIET_S, Pacing, Strain
from daemon.reading import Scheduled
from daemon.settings.plugins import Plugins
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Snapshot

TIMEOUT = Failure(FailureKind.TIMEOUT, "canceling statement due to statement timeout")
T0 = datetime(2026, 11, 23, tzinfo=UTC)


def at(seconds: float) -> Moment:
    return Moment(T0 + timedelta(seconds=seconds), 1000.0 + seconds)


@pytest.fixture(scope="module")
def every() -> dict[str, Scheduled]:
    return {name: Scheduled(each, each.interval_s) for name, each in Plugins.installed().collectors.items()}


def read(
    pacing: Pacing,
    one: Scheduled,
    took_s: float,
    seconds: float,
    rows: Any = None,
    database: str | None = None,
) -> None:
    moment = at(seconds)
    snapshot = Snapshot(
        target="shop",
        collector=one.collector.name,
        database=database,
        taken_at=moment.utc,
        mono_s=moment.mono_s,
        duration_s=took_s,
        interval_s=one.interval_s,
        rows=rows,
    )
    pacing.succeeded(one, snapshot)


def working(sessions: int, *, connections: int = 0, **changes: Any) -> ActivityReading:
    plain = Session._make(
        (1, T0, "client backend", "shop", "app", "", "local", "active", *(None,) * 8, False, "")
    )
    groups = (SessionGroup("shop", "app", "", "active", connections or sessions, 0.0),)
    rows = tuple(plain._replace(pid=pid, **changes) for pid in range(sessions))
    return ActivityReading(sessions=rows, groups=groups, max_connections=100, reserved=0)


def due(pacing: Pacing, one: Scheduled, ticks: int, database: str | None = None) -> list[int]:
    """At which of the ticks it is read."""
    return [tick for tick in range(ticks) if pacing.due(one, database)]


# --- the target's own factor ------------------------------------------------------------------------------

eighths = st.integers(1, 1600).map(lambda number: number / 8)  # sums of these are exact
signs = st.lists(st.tuples(eighths, st.booleans(), st.booleans()), max_size=200)


def played(happenings: list[tuple[float, bool, bool]]) -> Iterator[tuple[float, int]]:
    """The factor each time it was asked after a sign, or after a look at the clock."""
    strain, seconds = Strain(), 0.0
    for after_s, sign, sure in happenings:
        seconds += after_s
        if sign:
            strain.sign("busy", at(seconds), sure=sure)
        else:
            strain.relax(at(seconds))
        yield seconds, strain.stretch.factor


@given(signs)
def test_the_factor_is_bounded_and_moves_by_one_step_and_no_faster_than_stated(
    happenings: list[tuple[float, bool, bool]],
) -> None:
    """1, 2, 4 or 8; two changes are never nearer than DOUBLE_S, and a halving never nearer than QUIET_S to any."""
    changed_s, before = float("-inf"), 1
    for seconds, factor in played(happenings):
        assert factor in {1, 2, 4, MOST}
        if factor != before:
            assert factor in {2 * before, before / 2}
            assert seconds - changed_s >= (DOUBLE_S if factor > before else QUIET_S)
            changed_s, before = seconds, factor


@given(signs)
def test_whatever_happened_it_recovers_in_three_quiet_minutes(
    happenings: list[tuple[float, bool, bool]],
) -> None:
    strain, seconds = Strain(), 0.0
    for after_s, sign, sure in happenings:
        seconds += after_s
        if sign:
            strain.sign("busy", at(seconds), sure=sure)
    for quiet_s in range(5, 5 + 3 * (int(QUIET_S) + 5), 5):
        strain.relax(at(seconds + quiet_s))
    assert strain.stretch.factor == 1
    assert strain.stretch.since is None


def test_while_signs_last_it_doubles_to_the_most_and_says_since_when() -> None:
    strain = Strain()
    factors = []
    for seconds in range(0, 60, 5):
        strain.sign("busy", at(seconds))
        factors.append(strain.stretch.factor)
    assert factors == [2, 2, 2, 4, 4, 4, 8, 8, 8, 8, 8, 8]
    assert (strain.stretch.reason, strain.stretch.since) == ("busy", T0)


def test_one_slow_answer_is_chance_and_two_are_load() -> None:
    strain = Strain()
    strain.sign("slow", at(0), sure=False)
    strain.sign("slow", at(100), sure=False)
    assert strain.stretch.factor == 1
    strain.sign("slow", at(105), sure=False)
    assert strain.stretch.factor == 2


def test_that_nothing_was_seen_is_no_quiet() -> None:
    """After an outage the intervals stay for another quiet minute."""
    pacing = Pacing()
    pacing.failed(("statements", None), TIMEOUT, at(0))
    pacing.watched_again(at(1000))
    pacing.relax(at(1000 + QUIET_S - 1))
    assert pacing.stretch.factor == 2
    pacing.relax(at(1000 + QUIET_S))
    assert pacing.stretch.factor == 1


# --- what is a sign ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [FailureKind.TIMEOUT, FailureKind.LOCK_TIMEOUT, FailureKind.SILENT, FailureKind.TOO_MANY_CONNECTIONS],
)
def test_a_reading_that_the_server_could_not_serve_stretches_at_once(kind: FailureKind) -> None:
    pacing = Pacing()
    pacing.failed(("statements", None), Failure(kind, ""), at(0))
    assert pacing.stretch.factor == 2


@pytest.mark.parametrize(
    "kind", [FailureKind.PRIVILEGE, FailureKind.UNDEFINED, FailureKind.BUG, FailureKind.RESOURCES]
)
def test_what_is_no_matter_of_load_stretches_nothing(kind: FailureKind) -> None:
    pacing = Pacing()
    for seconds in range(0, 100, 5):
        pacing.failed(("statements", None), Failure(kind, ""), at(seconds))
    assert pacing.stretch.factor == 1


def test_one_collector_that_never_ends_in_time_slows_itself_and_not_the_others(
    every: dict[str, Scheduled],
) -> None:
    pacing = Pacing()
    for seconds in range(0, 1000, 60):
        pacing.relax(at(seconds))
        pacing.failed(("statements", None), TIMEOUT, at(seconds))
    pacing.relax(at(1000))
    assert pacing.stretch.factor == 1
    assert pacing.factor(every["statements"], None) == (MOST, "its reading does not end in time")
    assert pacing.habit(every["statements"], None) is True
    assert pacing.factor(every["settings"], None) == (1, "")
    read(pacing, every["statements"], 0.01, 1010)
    assert pacing.factor(every["statements"], None) == (1, "")


def test_a_probe_that_waits_for_cpu_is_a_sign(every: dict[str, Scheduled]) -> None:
    pacing = Pacing()
    for seconds in range(0, 100, 5):
        read(pacing, every["availability"], 0.002, seconds)
    for seconds in (100, 105):
        read(pacing, every["availability"], 0.3, seconds)
    assert pacing.stretch.factor == 2
    assert pacing.stretch.reason == "a trivial query takes 300ms"


def test_a_line_that_was_always_slow_is_not_a_busy_server(every: dict[str, Scheduled]) -> None:
    """Half a second to the other side of the world, each time, and each collector asks more than once."""
    pacing = Pacing()
    for seconds in range(0, 600, 5):
        read(pacing, every["availability"], 0.5, seconds)
        if seconds % 60 == 0:
            read(pacing, every["statements"], 1.1, seconds)
    assert pacing.stretch.factor == 1
    assert pacing.factor(every["statements"], None) == (1, "")


def test_a_reading_that_takes_ten_times_as_long_as_usual_is_a_sign(every: dict[str, Scheduled]) -> None:
    pacing = Pacing()
    for seconds in range(0, 600, 60):
        read(pacing, every["statements"], 0.11, seconds)
    read(pacing, every["statements"], 1.2, 600)
    read(pacing, every["statements"], 1.2, 660)
    assert pacing.stretch.factor == 2
    assert pacing.stretch.reason == "reading statements takes 1.2s, usually 110ms"


def test_many_more_sessions_at_work_than_ever_are_a_sign(every: dict[str, Scheduled]) -> None:
    pacing = Pacing()
    for seconds in range(0, 200, 10):
        read(pacing, every["activity"], 0.005, seconds, working(3))
    for seconds in (200, 210):
        read(pacing, every["activity"], 0.005, seconds, working(40))
    assert pacing.stretch.factor == 2
    assert pacing.stretch.reason == "40 sessions are at work, usually 3"


@pytest.mark.parametrize(
    "changes",
    [
        {"wait_event_type": "Lock"},
        {"wait_event_type": "Timeout"},
        {"own": True},
        {"state": "idle in transaction"},
    ],
)
def test_sessions_that_wait_for_each_other_are_no_load(
    every: dict[str, Scheduled], changes: dict[str, Any]
) -> None:
    pacing = Pacing()
    for seconds in range(0, 200, 10):
        read(pacing, every["activity"], 0.005, seconds, working(3))
    for seconds in (200, 210, 220):
        read(pacing, every["activity"], 0.005, seconds, working(80, **changes))
    assert pacing.stretch.factor == 1


def test_what_is_always_so_is_no_sign(every: dict[str, Scheduled]) -> None:
    """A server that has had eighty sessions at work for an hour is as it is."""
    pacing = Pacing()
    for seconds in range(0, 3600, 10):
        read(pacing, every["activity"], 0.005, seconds, working(80))
    assert pacing.stretch.factor == 1


def test_a_full_server_is_a_sign(every: dict[str, Scheduled]) -> None:
    pacing = Pacing()
    for seconds in (0, 10):
        read(pacing, every["activity"], 0.005, seconds, working(2, connections=96))
    assert pacing.stretch.reason == "96 of 100 connection slots are taken"


# --- what it does to intervals ----------------------------------------------------------------------------


def test_a_stretched_collector_is_read_at_each_second_tick_and_those_of_fixed_pace_at_each(
    every: dict[str, Scheduled],
) -> None:
    pacing = Pacing()
    assert due(pacing, every["settings"], 3) == [0, 1, 2]
    pacing.failed(("statements", None), TIMEOUT, at(0))
    assert due(pacing, every["settings"], 6) == [1, 3, 5]
    for fixed in ("availability", "activity", "lock_waits"):
        assert due(pacing, every[fixed], 3) == [0, 1, 2], fixed


def test_a_reading_knows_the_longest_interval_that_it_was_awaited_for(every: dict[str, Scheduled]) -> None:
    """The intervals were just shortened: eight of the short ones have passed, and that is no gap."""
    pacing, one = Pacing(), every["statements"]
    for seconds in (0, 20, 40):
        pacing.failed(("activity", str(seconds)), TIMEOUT, at(seconds))
    due(pacing, one, 2)
    for seconds in range(100, 400, 5):
        pacing.relax(at(seconds))
    assert pacing.factor(one, None) == (1, "")
    assert pacing.awaited_s(one, None) == one.interval_s * MOST
    assert pacing.awaited_s(one, None) == one.interval_s


def test_a_costly_reading_rests_a_hundred_times_as_long_and_a_cheap_one_as_configured(
    every: dict[str, Scheduled],
) -> None:
    pacing, one = Pacing(), replace(every["statements"], interval_s=60.0)
    read(pacing, one, 0.6, 0)
    assert pacing.factor(one, None) == (1, "")
    read(pacing, one, 1.5, 60)
    assert pacing.factor(one, None) == (3, "its readings take 1.5s")
    read(pacing, one, 9.0, 240)
    assert pacing.factor(one, None)[0] == MOST
    read(pacing, one, 0.01, 720)
    assert pacing.factor(one, None) == (1, "")
    hurried = replace(one, interval_s=1.0)
    read(pacing, hurried, 0.2, 721)
    assert pacing.factor(hurried, None) == (1, "")


def test_the_databases_of_one_round_cost_together(every: dict[str, Scheduled]) -> None:
    pacing, one = Pacing(), replace(every["constraints"], interval_s=60.0)
    for number in range(200):
        read(pacing, one, 0.01, number / 10, database=f"db{number}")
    assert pacing.factor(one, "db1")[0] == 4
    for number in range(1, 200):
        pacing.forget("constraints", f"db{number}")
    assert pacing.factor(one, "db0") == (1, "")


def test_connecting_to_many_databases_is_a_cost_too(every: dict[str, Scheduled]) -> None:
    """Two hundred times 15 ms is three seconds of the server, however little is read there; three times is nothing."""
    pacing, one = Pacing(), replace(every["constraints"], interval_s=60.0)
    for number in range(200):
        if number == 3:
            assert pacing.factor(one, "db1") == (1, "")
        pacing.visited(f"db{number}", 0.015)
        read(pacing, one, 0.0001, number / 10, database=f"db{number}")
    assert pacing.factor(one, "db1")[0] == 6


def test_databases_that_come_and_go_leave_nothing_behind(every: dict[str, Scheduled]) -> None:
    """A server for tests makes a thousand of them a day."""
    pacing, one = Pacing(), every["constraints"]

    def held() -> int:
        parts = (vars(part) for part in (pacing, pacing._cost))
        return sum(len(value) for part in parts for value in part.values() if isinstance(value, dict))

    remains: list[int] = []
    for number in range(9):
        name = f"ci_{number}"
        assert pacing.due(one, name)
        pacing.visited(name, 0.01)
        read(pacing, one, 0.01, number, database=name)
        pacing.failed(("constraints", name), TIMEOUT, at(number))
        pacing.forget("constraints", name)
        remains.append(held())
    assert remains[-1] == remains[0]


def test_it_is_a_habit_after_five_rounds_and_no_more_after_five_others(every: dict[str, Scheduled]) -> None:
    """What flickers is not told each time."""
    pacing, one = Pacing(), replace(every["statements"], interval_s=60.0)
    told = []
    for number in range(5):
        read(pacing, one, 2.0, number * 240)
        told.append(pacing.habit(one, None))
    for number in range(5, 10):
        read(pacing, one, 0.01, number * 240)
        told.append(pacing.habit(one, None))
    assert told == [None, None, None, None, True, None, None, None, None, False]


# --- where there is nothing to be read ----------------------------------------------------------------------


def test_a_database_without_anything_for_a_collector_is_read_more_rarely(every: dict[str, Scheduled]) -> None:
    """Every minute a connection to each of two hundred databases, to hear that nothing is there, is too much."""
    pacing, subscriptions = Pacing(), every["subscriptions"]
    assert due(pacing, subscriptions, 1, "empty") == [0]
    read(pacing, subscriptions, 0.001, 0, SubscriptionsReading(), "empty")
    assert pacing.factor(subscriptions, "empty") == (IDLE, "there is nothing for it in this database")
    assert pacing.factor(subscriptions, "other")[0] == 1
    assert due(pacing, subscriptions, 2 * IDLE, "empty") == [IDLE - 1, 2 * IDLE - 1]


def test_it_is_read_as_configured_once_there_is_something(every: dict[str, Scheduled]) -> None:
    pacing, subscriptions = Pacing(), every["subscriptions"]
    read(pacing, subscriptions, 0.001, 0, SubscriptionsReading(), "shop")
    read(pacing, subscriptions, 0.001, 480, SubscriptionsReading(unreadable=1), "shop")
    assert pacing.factor(subscriptions, "shop")[0] == 1
    read(pacing, subscriptions, 0.001, 540, SubscriptionsReading(), "shop")
    pacing.forget("subscriptions", "shop")
    assert pacing.factor(subscriptions, "shop")[0] == 1
