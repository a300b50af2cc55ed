"""`pgvigil run`: the process around the daemon. Signals set a flag; everything else happens in order."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

import structlog

from daemon import logs
from daemon.reload import Reload
from daemon.settings.loader import load
from daemon.settings.settings import Settings
from daemon.wiring import Daemon

log = structlog.get_logger(__name__)

# Each thread needs little; the default of 8 MB of address space each alarms those who watch VIRT.
STACK_BYTES = 1024 * 1024


def run(settings: Settings, started: Callable[[Daemon], None] = lambda _daemon: None) -> int:
    """Run until SIGTERM or SIGINT; 0 when everything stopped in order. SIGHUP reads the file of `settings` again.

    Raises SetupError when it cannot start.
    """
    threading.stack_size(STACK_BYTES)
    flush = logs.configure(settings.daemon.log_format, settings.daemon.log_level)
    try:
        return _run(settings, started)
    finally:
        flush()


class _Asked:
    """What signals ask for. Several to reload while one reload goes on are one more."""

    def __init__(self) -> None:
        self._something = threading.Event()
        self._stop = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        log.info("stopping" if number != signal.SIGHUP else "reloading", signal=signal.Signals(number).name)
        self._stop = self._stop or number != signal.SIGHUP
        self._something.set()

    def to_reload(self) -> bool:
        """Wait until asked for something: True to reload, False to stop."""
        self._something.wait()
        self._something.clear()
        return not self._stop


def _run(settings: Settings, started: Callable[[Daemon], None]) -> int:
    asked = _Asked()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, asked)
    daemon = Daemon(settings)
    reload = Reload(daemon, lambda: load(settings.file, os.environ))
    try:
        daemon.start()
        started(daemon)
        while asked.to_reload():
            reload()
    finally:
        daemon.stop()
    log.info("stopped")
    return 0
