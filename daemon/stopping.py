"""The time there is for stopping, shared out: whatever hangs, the whole ends in time."""

import threading
from collections.abc import Callable

import structlog

from daemon.clock import Now

log = structlog.get_logger(__name__)

# Of the ten seconds that are promised: the rest is for the log's last lines and the interpreter's own end.
STOP_S = 7.5


class Budget:
    """`total_s` from now on, for everything together."""

    def __init__(self, now: Now, total_s: float = STOP_S) -> None:
        self._now = now
        self._end_mono_s = now().mono_s + total_s

    def left_s(self, *, most_s: float = float("inf"), keep_s: float = 0.0) -> float:
        """What is left when `keep_s` are kept for later steps, at most `most_s`, and never less than nothing."""
        return max(0.0, min(most_s, self._end_mono_s - keep_s - self._now().mono_s))

    def run(self, what: str, step: Callable[[], None], *, most_s: float) -> bool:
        """Take a step that may hang (a disk, a lock); False when it was left behind."""
        thread = threading.Thread(target=step, name=f"pgvigil-stop-{what}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread is to be had: the steps that need none are still taken
            log.warning("left_behind", what=what, error=str(error))
            return False
        thread.join(self.left_s(most_s=most_s))
        if thread.is_alive():
            log.warning("left_behind", what=what)
        return not thread.is_alive()
