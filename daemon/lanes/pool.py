"""Workers for lanes: a few threads, and spare ones when some are stuck."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from daemon.clock import Now

log = structlog.get_logger(__name__)

REST_S = 5.0  # after which a spare worker leaves
HELD_S = 1.0  # whoever is at one piece of work for this long waits for a server
BUSY = 0.8  # of one core, which is all that Python code can use


class Work(Protocol):
    """What a worker takes."""

    def work(self) -> None:
        """Do all that is due."""


class _Bell:
    """What one idle worker sleeps on."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        self._lock.release()

    def wait(self, seconds: float | None) -> None:
        self._lock.acquire(timeout=-1 if seconds is None else seconds)


class Pool:
    """Serves queued work with `core` threads.

    A worker can be held for seconds by a server that stopped answering, so when something has waited longer
    than `patience_s`, `relieve` (called by the supervisor) starts spare threads, up to `most`: healthy work
    never waits behind silent targets. While the process has no CPU left (`cpu_s` is what it has used) more
    threads would only share it, so then there is a spare one for each worker that is held for HELD_S, no more.

    Work goes to the worker that became idle last: the others sleep on, and spare ones leave after REST_S.
    """

    def __init__(
        self,
        name: str,
        now: Now,
        *,
        core: int,
        most: int,
        patience_s: float = 0.2,
        cpu_s: Callable[[], float] = time.process_time,
    ) -> None:
        self.name = name
        self._now = now
        self._core = core
        self._most = most
        self._patience_s = patience_s
        self._cpu_s = cpu_s
        self._looked = (now().mono_s, cpu_s())
        self._waiting: deque[tuple[float, Work]] = deque()
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)
        self._resting: list[_Bell] = []
        self._called = 0  # workers that were woken and have not taken anything yet
        self._since_s: dict[int, float] = {}  # worker -> since when it has been at its present work
        self._threads = 0
        self._serial = 0
        self._stopping = False
        self._taken_mono_s = now().mono_s

    def submit(self, work: Work) -> None:
        """Queue `work`; starts one of the core threads where none is idle."""
        with self._lock:
            if self._stopping:
                return
            self._waiting.append((self._now().mono_s, work))
            if self._resting:
                self._call()
            elif self._threads < self._core:
                self._spawn()

    def relieve(self) -> None:
        """Start as many spare threads as there is work that has waited too long."""
        with self._lock:
            now_s = self._now().mono_s
            limit = self._limit(now_s)
            overdue = sum(1 for since, _ in self._waiting if since <= now_s - self._patience_s)
            for _ in range(min(overdue - self._called, limit - self._threads)):
                if not self._spawn():
                    return

    def stop(self, within_s: float) -> bool:
        """Let running work finish, drop what waits; True when every worker has left in time."""
        with self._lock:
            self._stopping = True
            self._waiting.clear()
            while self._resting:
                self._call()
            return self._left.wait_for(lambda: self._threads == 0, within_s)

    @property
    def threads(self) -> int:
        return self._threads

    @property
    def crowded(self) -> bool:
        """Whether work waits for a worker, or nobody is to take any more."""
        return bool(self._waiting) or self._stopping

    @property
    def longest_wait_s(self) -> float:
        """How long the oldest piece of queued work has waited; 0 when nothing waits."""
        with self._lock:
            return self._now().mono_s - self._waiting[0][0] if self._waiting else 0.0

    @property
    def stalled_s(self) -> float:
        """How long nothing has been taken while something waited: a crowd that moves on is not stalled."""
        with self._lock:
            if not self._waiting:
                return 0.0
            return self._now().mono_s - max(self._taken_mono_s, self._waiting[0][0])

    def _limit(self, now_s: float) -> int:
        """How many threads there may be now."""
        before_s, used_s = self._looked
        self._looked = (now_s, self._cpu_s())
        if self._looked[1] - used_s < BUSY * (now_s - before_s):
            return self._most
        held = sum(1 for since in self._since_s.values() if since <= now_s - HELD_S)
        return min(self._most, self._core + held)

    def _call(self) -> None:
        self._called += 1
        self._resting.pop().ring()

    def _spawn(self) -> bool:
        """Start a thread, if the system has one to give; otherwise `relieve` tries again."""
        self._serial += 1
        name = f"pgvigil-{self.name}-{self._serial}"
        try:
            threading.Thread(target=self._serve, args=(self._serial,), name=name, daemon=True).start()
        except RuntimeError as error:  # a limit of the account or the container
            log.warning("thread_not_started", pool=self.name, error=str(error))
            return False
        self._threads += 1
        self._called += 1
        return True

    def _serve(self, worker: int) -> None:
        with self._lock:
            self._called -= 1
        while (work := self._next(worker)) is not None:
            try:
                work()
            except Exception:  # the lane's boundary: a defect must not cost the worker
                log.exception("work_failed", pool=self.name)

    def _next(self, worker: int) -> Callable[[], None] | None:
        """The next piece of work, or None when this thread should leave."""
        bell: _Bell | None = None
        while True:
            with self._lock:
                rested = bell is not None and not self._woken(bell)
                if self._waiting:
                    self._since_s[worker] = self._taken_mono_s = self._now().mono_s
                    return self._waiting.popleft()[1].work
                self._since_s.pop(worker, None)
                spare = self._threads > self._core
                if self._stopping or (rested and spare):
                    self._threads -= 1
                    self._left.notify_all()
                    return None
                bell = _Bell()
                self._resting.append(bell)
            bell.wait(REST_S)

    def _woken(self, bell: _Bell) -> bool:
        """Whether that worker was called, and did not just wake by itself."""
        if bell in self._resting:
            self._resting.remove(bell)
            return False
        self._called -= 1
        return True


class Once:
    """Something to do that is queued at most once at a time, however often it is asked for."""

    def __init__(self, pool: Pool, do: Callable[[], None]) -> None:
        self._pool = pool
        self._do = do
        self._lock = threading.Lock()
        self._queued = False

    def submit(self) -> None:
        with self._lock:
            if self._queued:
                return
            self._queued = True
        self._pool.submit(self)

    def work(self) -> None:
        with self._lock:
            self._queued = False
        self._do()
