"""Ticks come however the wall clock behaves."""

import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import time_machine

from daemon.clock import Ticker, system_now
from daemon.supervisor import Supervisor
from tests.support.polling import poll


def test_ticks_come_at_their_interval() -> None:
    ticker = Ticker(system_now)
    ticks = threading.Semaphore(0)
    ticker.every("t", 0.05, ticks.release)
    ticker.start()
    try:
        for _ in range(3):
            assert ticks.acquire(timeout=5)
        ticker.cancel("t")
    finally:
        ticker.stop()


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)], ids=["forth", "back"])
def test_ticks_go_on_after_the_wall_clock_stepped(step: timedelta) -> None:
    """An hour back would silence every job for an hour; the supervisor sees the step and plans anew."""
    ticker = Ticker(system_now)
    supervisor = Supervisor(system_now, ticker, (), ())
    ticks = threading.Semaphore(0)
    ticker.every("t", 0.05, ticks.release)
    ticker.start()
    supervisor.start()
    try:
        assert ticks.acquire(timeout=5)
        with time_machine.travel(datetime.now(UTC) + step, tick=True):
            for _ in range(30):
                assert ticks.acquire(timeout=5)
            assert supervisor.clock_steps == 1
    finally:
        supervisor.stop()
        ticker.stop()


def test_a_fleet_stays_spread_after_the_wall_clock_stepped() -> None:
    """Planned anew, each job keeps its own first delay: otherwise all targets would tick at once for good."""
    ticker = Ticker(system_now)
    ticks: list[str] = []
    for name, first_after_s in (("late", 0.3), ("early", 0.0)):
        ticker.every(name, 60.0, partial(ticks.append, name), first_after_s=first_after_s)
    ticker.start()
    try:
        poll(lambda: ticks == ["early", "late"], 5)
        ticker.replan()
        poll(lambda: ticks == ["early", "late"] * 2, 5)
    finally:
        ticker.stop()


def test_a_step_of_the_clock_while_everything_stops_is_nothing() -> None:
    ticker = Ticker(system_now)
    ticker.every("t", 60.0, lambda: None)
    ticker.start()
    ticker.stop()
    ticker.replan()
    ticker.cancel("t")
