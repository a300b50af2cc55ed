"""`pgvigil run`: the process around the daemon. Signals set a flag; everything else happens in order."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

import structlog

from daemon import logs
from daemon.settings.settings import Settings
from daemon.wiring import Daemon

log = structlog.get_logger(__name__)

# Each thread needs little; the default of 8 MB of address space each alarms those who watch VIRT.
STACK_BYTES = 1024 * 1024


def run(settings: Settings, started: Callable[[Daemon], None] = lambda _daemon: None) -> int:
    """Run until SIGTERM or SIGINT; 0 when everything stopped in order. Raises SetupError when it cannot start."""
    threading.stack_size(STACK_BYTES)
    flush = logs.configure(settings.daemon.log_format, settings.daemon.log_level)
    try:
        return _run(settings, started)
    finally:
        flush()


def _run(settings: Settings, started: Callable[[Daemon], None]) -> int:
    stop = threading.Event()

    def leave(number: int, _frame: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    daemon = Daemon(settings)
    try:
        daemon.start()
        started(daemon)
        stop.wait()
    finally:
        daemon.stop()
    log.info("stopped")
    return 0
