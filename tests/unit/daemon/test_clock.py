"""Ticks come however the wall clock behaves."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from daemon.clock import Ticker, system_now
from daemon.supervisor import Supervisor


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
