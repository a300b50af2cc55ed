"""Watches pgvigil itself: the wall clock for steps, the pools for stuck workers, every loop for progress."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from daemon.clock import Now, Ticker
from daemon.lanes.pool import Pool
from daemon.systemd import NOBODY, ServiceManager

log = structlog.get_logger(__name__)

PERIOD_S = 0.25  # how soon a spare worker comes; half of what a healthy target may be late
STEP_S = 2.0  # a wall clock that moves this much against the monotonic one was set, not slewed
PAUSE_S = 5.0  # silence of our own that only a process that was stopped, or starved, shows
SETTLE_S = 5.0  # after such a pause everything looks late, and most of it goes on at once


@dataclass(frozen=True, slots=True)
class Loop:
    """Something that must advance. `age_s` is how long ago it last did; more than `limit_s` means stuck."""

    name: str
    age_s: Callable[[], float]
    limit_s: float


class Supervisor:
    """One thread. `stuck` is ready-made for the health check and never touches a lock of the watched.

    While no loop is stuck, and only then, the service manager's watchdog is told so; `status` is the line that it
    shows people.
    """

    def __init__(
        self,
        now: Now,
        ticker: Ticker,
        pools: Sequence[Pool],
        loops: Sequence[Loop],
        *,
        manager: ServiceManager = NOBODY,
        status: Callable[[], str] = lambda: "",
    ) -> None:
        self._now = now
        self._ticker = ticker
        self._pools = pools
        self._loops = list(loops)
        self._manager = manager
        self._status = status
        # Two looks and a ping every third of the watchdog's time: one that is late does no harm.
        self._ping_s = (manager.watchdog_s or 0.0) / 3
        self._period_s = min(PERIOD_S, self._ping_s / 2) if manager.watchdog_s else PERIOD_S
        self._pinged_mono_s = float("-inf")
        self._judge_from_s = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pgvigil-supervisor", daemon=True)
        self._beat_mono_s = now().mono_s
        self.stuck: tuple[str, ...] = ()
        self.clock_steps = 0

    def start(self) -> None:
        self._beat_mono_s = self._now().mono_s
        self._thread.start()

    def stop(self, within_s: float = 2.0) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def watch(self, loops: Sequence[Loop]) -> None:
        """Watch these from now on, and none of those before."""
        self._loops = list(loops)

    @property
    def age_s(self) -> float:
        """How long ago the supervisor itself last looked."""
        return self._now().mono_s - self._beat_mono_s

    def _run(self) -> None:
        offset_s = self._offset_s()
        while not self._stop.wait(self._period_s):
            offset_s = self._watch_clock(offset_s)
            for pool in self._pools:
                pool.relieve()
            self._watch_ourselves()
            if self._now().mono_s >= self._judge_from_s:
                self._watch_loops()
            self._tell()
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

    def _watch_ourselves(self) -> None:
        now_s = self._now().mono_s
        paused_s = now_s - self._beat_mono_s
        if paused_s > PAUSE_S:
            log.warning("process_paused", for_s=round(paused_s, 1))
            self._judge_from_s = now_s + SETTLE_S

    def _watch_loops(self) -> None:
        stuck = tuple(loop.name for loop in self._loops if loop.age_s() > loop.limit_s)
        if stuck != self.stuck:
            log.error("loops_stuck" if stuck else "loops_recovered", loops=stuck or self.stuck)
            self.stuck = stuck

    def _tell(self) -> None:
        now_s = self._now().mono_s
        if self.stuck:
            self._manager.status(f"stuck: {', '.join(self.stuck)}")
            return
        if self._manager.watchdog_s and now_s - self._pinged_mono_s >= self._ping_s:
            self._manager.watchdog()
            self._pinged_mono_s = now_s
        self._manager.status(self._status())
