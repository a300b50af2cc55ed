"""What counts as getting on, and how the time for stopping is shared out."""

import threading
from pathlib import Path

import pytest
import structlog

from daemon.board import Board, TargetView
from daemon.clock import Ticker, system_now
from daemon.health import status_line
from daemon.lanes.pool import Pool
from daemon.loops import LANE_LIMIT_S
from daemon.stopping import Budget
from daemon.supervisor import Loop, Supervisor
from daemon.systemd import ServiceManager
from pgvigil.model.availability import Availability
from pgvigil.registry import collectors
from tests.support.destination import Clock
from tests.support.managers import service_manager
from tests.support.polling import poll
from tests.support.views import T0

WATCHDOG = {"WATCHDOG_USEC": "400000"}


class Nothing:
    """Work that is done at once."""

    def work(self) -> None:
        pass


def test_the_watchdog_is_fed_again_when_what_was_stuck_goes_on(tmp_path: Path) -> None:
    age_s = 0.0
    with service_manager(tmp_path) as manager, structlog.testing.capture_logs() as events:
        supervisor = Supervisor(
            system_now,
            Ticker(system_now),
            (),
            [Loop("writer", lambda: age_s, 5.0)],
            manager=ServiceManager({"NOTIFY_SOCKET": manager.address, **WATCHDOG}, 0),
            status=lambda: "fine",
        )
        supervisor.start()
        try:
            manager.wait("WATCHDOG=1", times=2)
            age_s = 6.0
            manager.wait("STATUS=stuck: writer")
            pings = manager.count("WATCHDOG=1")
            age_s = 0.0
            manager.wait("WATCHDOG=1", times=pings + 1)
        finally:
            supervisor.stop()
        assert [text for _, text in manager.told() if text.startswith("STATUS")][-1] == "STATUS=fine"
    assert [event["event"] for event in events] == ["loops_stuck", "loops_recovered"]


def test_a_pool_that_takes_nothing_while_something_waits_is_stalled() -> None:
    clock = Clock()
    pool = Pool("none", clock, core=0, most=0)
    clock.pass_time(100.0)
    assert pool.stalled_s == 0.0
    pool.submit(Nothing())
    clock.pass_time(7.0)
    assert pool.stalled_s == 7.0


def test_a_pool_that_gets_on_is_not_stalled() -> None:
    clock = Clock()
    pool = Pool("one", clock, core=1, most=1)
    pool.submit(Nothing())
    poll(lambda: pool.stalled_s == 0.0)
    assert pool.stop(within_s=5.0)


def test_a_clock_that_does_not_run_has_no_age_and_one_that_hangs_has() -> None:
    ticker = Ticker(system_now)
    assert ticker.age_s == 0.0
    go_on = threading.Event()
    ticker.start()
    try:
        ticker.every("hangs", 3600.0, lambda: bool(go_on.wait(20)))
        poll(lambda: ticker.age_s > 1.5, 10)
        go_on.set()
        poll(lambda: ticker.age_s < 1.0, 10)
    finally:
        go_on.set()
        ticker.stop()


def test_a_budget_is_never_less_than_nothing() -> None:
    clock = Clock()
    budget = Budget(clock, 8.0)
    clock.pass_time(3.0)
    assert (budget.left_s(), budget.left_s(most_s=2.0), budget.left_s(keep_s=1.5)) == (5.0, 2.0, 3.5)
    clock.pass_time(6.0)
    assert (budget.left_s(), budget.left_s(keep_s=1.5)) == (0.0, 0.0)


def test_a_step_that_hangs_is_left_behind_and_named() -> None:
    go_on = threading.Event()
    with structlog.testing.capture_logs() as events:
        budget = Budget(system_now, 10.0)
        assert budget.run("quick", lambda: None, most_s=5.0)
        assert not budget.run("store", lambda: bool(go_on.wait(20)), most_s=0.05)
    go_on.set()
    assert [(one["event"], one["what"]) for one in events] == [("left_behind", "store")]


def test_a_step_for_which_there_is_no_thread_does_not_end_the_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container at its limit of processes; what pgvigil must still tell is told."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with structlog.testing.capture_logs() as events:
        assert not Budget(system_now, 10.0).run("history", lambda: None, most_s=5.0)
    assert [(one["event"], one["what"]) for one in events] == [("left_behind", "history")]


def test_the_status_line_is_for_people() -> None:
    board = Board()
    assert status_line(board) == "0 targets; 0 open incidents"
    for name, up in (("a", True), ("b", False)):
        board.publish(TargetView(name=name, labels={}, first_tried_at=T0, availability=Availability(up=up)))
    assert status_line(board) == "2 targets, 1 of them does not answer; 0 open incidents"


def test_a_lane_is_stuck_only_long_after_every_deadline_of_a_job() -> None:
    for collector in collectors().values():
        assert collector.longest_s < LANE_LIMIT_S / 2, collector.name
