"""Watches pgvigil itself: the wall clock for steps, the pools for stuck workers, every loop for progress."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from daemon.clock import Now, Ticker
from daemon.lanes.pool import Pool

log = structlog.get_logger(__name__)

PERIOD_S = 0.25  # how soon a spare worker comes; half of what a healthy target may be late
STEP_S = 2.0  # a wall clock that moves this much against the monotonic one was set, not slewed


@dataclass(frozen=True, slots=True)
class Loop:
    """Something that must advance. `age_s` is how long ago it last did; more than `limit_s` means stuck."""

    name: str
    age_s: Callable[[], float]
    limit_s: float


class Supervisor:
    """One thread. `stuck` is ready-made for the health check and never touches a lock of the watched."""

    def __init__(self, now: Now, ticker: Ticker, pools: Sequence[Pool], loops: Sequence[Loop]) -> None:
        self._now = now
        self._ticker = ticker
        self._pools = pools
        self._loops = list(loops)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pgvigil-supervisor", daemon=True)
        self._beat_mono_s = now().mono_s
        self.stuck: tuple[str, ...] = ()
        self.clock_steps = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def watch(self, loops: Sequence[Loop]) -> None:
        """Watch these from now on, and none of those before."""
        self._loops = list(loops)

    @property
    def age_s(self) -> float:
        """How long ago the supervisor itself last looked."""
        return self._now().mono_s - self._beat_mono_s

    def _run(self) -> None:
        offset_s = self._offset_s()
        while not self._stop.wait(PERIOD_S):
            offset_s = self._watch_clock(offset_s)
            for pool in self._pools:
                pool.relieve()
            self._watch_loops()
            self._beat_mono_s = self._now().mono_s

    def _offset_s(self) -> float:
        moment = self._now()
        return moment.utc.timestamp() - moment.mono_s

    def _watch_clock(self, before_s: float) -> float:
        after_s = self._offset_s()
        if abs(after_s - before_s) > STEP_S:
            self.clock_steps += 1
            log.warning("clock_stepped", by_s=round(after_s - before_s, 1))
            self._ticker.replan()
        return after_s

    def _watch_loops(self) -> None:
        stuck = tuple(loop.name for loop in self._loops if loop.age_s() > loop.limit_s)
        if stuck != self.stuck:
            log.error("loops_stuck" if stuck else "loops_recovered", loops=stuck or self.stuck)
            self.stuck = stuck
