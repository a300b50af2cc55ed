"""Nothing is left behind: a small watcher process ends servers and removes directories if we die.

A pipe from us to the watcher closes however we end, `kill -9` included. PR_SET_PDEATHSIG would do that on Linux
only, fires when the starting *thread* ends, and removes no directory.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[2]


class Guard:
    """Directories that must not outlive this process. Thread-safe; the watcher is started on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watcher: subprocess.Popen[bytes] | None = None
        self._closers: dict[Path, Callable[[], None]] = {}
        self._owner = os.getpid()

    def protect(self, directory: Path, close: Callable[[], None]) -> None:
        """From now on `directory` goes when we end: by `close` at an orderly exit, else by the watcher."""
        with self._lock:
            self._closers[directory] = close
            self._tell("+", directory)

    def release(self, directory: Path) -> None:
        """The directory has been removed in good order."""
        with self._lock:
            if self._closers.pop(directory, None) is not None:
                self._tell("-", directory)

    def close_all(self) -> None:
        """Close everything in reverse order, then dismiss the watcher and wait until it is gone."""
        if os.getpid() != self._owner:  # a forked child has our list and not our servers
            return
        for close in reversed(list(self._closers.values())):
            close()
        with self._lock:
            watcher, self._watcher = self._watcher, None
            if watcher is not None and watcher.stdin is not None:
                watcher.stdin.close()
                watcher.wait(timeout=30)

    def _tell(self, sign: str, directory: Path) -> None:
        if self._watcher is None:
            atexit.unregister(self.close_all)
            atexit.register(self.close_all)
            self._watcher = subprocess.Popen(
                [sys.executable, "-m", "pgvigil.scratch.watcher"],
                stdin=subprocess.PIPE,
                start_new_session=True,
                cwd=_PACKAGES,
            )
        if self._watcher.stdin is not None:
            self._watcher.stdin.write(json.dumps([sign, str(directory)]).encode() + b"\n")
            self._watcher.stdin.flush()


GUARD = Guard()
