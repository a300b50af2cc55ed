"""A deadline that works on a stopped server and on a half-open socket.

Neither statement_timeout nor keepalives nor tcp_user_timeout free a thread that waits for a server whose
kernel still acknowledges. Shutting our own socket down does: the waiting call sees the end of the stream.
"""

import contextlib
import heapq
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager


class Limit:
    """One guarded call. `expired` tells that its socket was shut down, so the connection is of no more use."""

    __slots__ = ("_descriptor", "_lock", "expired")

    def __init__(self, descriptor: int) -> None:
        # A descriptor of our own: libpq may close its one in the middle of the call, and the number may then
        # belong to another connection by the time the deadline comes.
        self._descriptor: int | None = os.dup(descriptor)
        self._lock = threading.Lock()
        self.expired = False

    def cut(self) -> None:
        """Shuts the socket down, from any thread. After the call has ended it does nothing."""
        with self._lock:
            if self._descriptor is None:
                return
            self.expired = True
            with contextlib.suppress(OSError):  # the peer has closed already: as good
                _shut_down(self._descriptor)

    def end(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    @property
    def ended(self) -> bool:
        return self._descriptor is None


def _shut_down(descriptor: int) -> None:
    handle = socket.socket(fileno=descriptor)
    try:
        handle.shutdown(socket.SHUT_RDWR)
    finally:
        handle.detach()  # the descriptor stays open until the limit ends


class _Watchdog:
    """One thread for all connections of the process, started with the first limit."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._due: list[tuple[float, int, Limit]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def watch(self, limit: Limit, due_s: float) -> None:
        with self._wake:
            entry = (due_s, next(self._numbers), limit)
            heapq.heappush(self._due, entry)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="pgvigil-deadlines", daemon=True)
                thread.start()
                self._thread = thread  # not before: a thread that could not be started is tried again
            elif self._due[0] is entry:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            self._next().cut()

    def _next(self) -> Limit:
        """Waits until the earliest limit is due.

        Nearly all limits end early. They stay in the heap until a look at it finds them first; so a look comes
        every few seconds, and not at the time of each.
        """
        with self._wake:
            while True:
                while self._due and self._due[0][2].ended:
                    heapq.heappop(self._due)
                wait_s = self._due[0][0] - time.monotonic() if self._due else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._wake.wait(wait_s)


_watchdog = _Watchdog()


def limit(descriptor: int, seconds: float) -> AbstractContextManager[Limit]:
    """Shuts down the socket behind `descriptor` when the block has not ended after `seconds`.

    Raises OSError, before the block begins, when the process is out of descriptors.
    """
    guard = Limit(descriptor)
    _watchdog.watch(guard, time.monotonic() + seconds)
    return _until_the_end(guard)


@contextlib.contextmanager
def _until_the_end(guard: Limit) -> Iterator[Limit]:
    try:
        yield guard
    finally:
        guard.end()
