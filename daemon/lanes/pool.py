"""Workers for lanes: a few threads, and spare ones when some are stuck."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from daemon.clock import Now

log = structlog.get_logger(__name__)


class Work(Protocol):
    """What a worker takes."""

    def work(self) -> None:
        """Do all that is due."""


class Pool:
    """Serves queued work with `core` threads.

    A worker can be held for seconds by a server that stopped answering, so when something has waited longer
    than `patience_s`, `relieve` (called by the supervisor) starts spare threads, up to `most`: healthy work
    never waits behind silent targets. Spare threads leave when there is nothing to do.
    """

    def __init__(self, name: str, now: Now, *, core: int, most: int, patience_s: float = 0.2) -> None:
        self.name = name
        self._now = now
        self._core = core
        self._most = most
        self._patience_s = patience_s
        self._waiting: deque[tuple[float, Work]] = deque()
        self._changed = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._serial = 0
        self._stopping = False

    def submit(self, work: Work) -> None:
        """Queue `work`; starts one of the core threads where none is idle."""
        with self._changed:
            if self._stopping:
                return
            self._waiting.append((self._now().mono_s, work))
            if self._idle < len(self._waiting) and self._threads < self._core:
                self._spawn()
            self._changed.notify()

    def relieve(self) -> None:
        """Start as many spare threads as there is work that has waited too long."""
        with self._changed:
            late = self._now().mono_s - self._patience_s
            overdue = sum(1 for since, _ in self._waiting if since <= late)
            for _ in range(min(overdue - self._idle, self._most - self._threads)):
                if not self._spawn():
                    return

    def stop(self, within_s: float) -> bool:
        """Let running work finish, drop what waits; True when every worker has left in time."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._threads == 0, within_s)

    @property
    def threads(self) -> int:
        return self._threads

    @property
    def longest_wait_s(self) -> float:
        """How long the oldest piece of queued work has waited; 0 when nothing waits."""
        with self._changed:
            return self._now().mono_s - self._waiting[0][0] if self._waiting else 0.0

    def _spawn(self) -> bool:
        """Start a thread, if the system has one to give; otherwise `relieve` tries again."""
        self._serial += 1
        name = f"pgvigil-{self.name}-{self._serial}"
        try:
            threading.Thread(target=self._serve, name=name, daemon=True).start()
        except RuntimeError as error:  # a limit of the account or the container
            log.warning("thread_not_started", pool=self.name, error=str(error))
            return False
        self._threads += 1
        return True

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception:  # the lane's boundary: a defect must not cost the worker
                log.exception("work_failed", pool=self.name)

    def _next(self) -> Callable[[], None] | None:
        """The next piece of work, or None when this thread should leave."""
        with self._changed:
            self._idle += 1
            try:
                while not self._waiting:
                    spare = self._threads > self._core
                    if self._stopping or (not self._changed.wait(5.0 if spare else None) and spare):
                        self._threads -= 1
                        self._changed.notify_all()
                        return None
                return self._waiting.popleft()[1].work
            finally:
                self._idle -= 1


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
