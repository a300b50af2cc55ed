"""`pgvigil run`: the process around the daemon. Signals set a flag; everything else happens in order."""

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType

import structlog

from daemon import descriptors, heap, logs
from daemon.reload import Reload
from daemon.settings.settings import Settings
from daemon.systemd import ServiceManager, service_manager
from daemon.wiring import Daemon

log = structlog.get_logger(__name__)

# Each thread needs little; the default of 8 MB of address space each alarms those who watch VIRT.
STACK_BYTES = 1024 * 1024

# After a signal the process is gone by then, with what is done by then: ten seconds are promised.
END_S = 9.3
_LAST_WORDS_S = 0.2


def run(settings: Settings, started: Callable[[Daemon], None] = lambda _daemon: None) -> int:
    """Run until SIGTERM or SIGINT; 0 when everything stopped in order. SIGHUP reads the file of `settings` again.

    Raises SetupError when it cannot start.
    """
    heap.share_one()  # before there are threads
    descriptors.raise_limit()
    threading.stack_size(STACK_BYTES)
    faulthandler.enable()  # the service manager's watchdog aborts us: where each thread stood is the reason why
    flush = logs.configure(settings.daemon.log_format, settings.daemon.log_level)
    try:
        return _run(settings, started)
    finally:
        flush()


class _Asked:
    """What signals ask for. Several to reload while one reload goes on are one more.

    While the daemon is being built nobody looks whether it is to stop, so then that ends there and then; what was
    opened is closed on the way out. A handler runs between any two steps of the main thread, which may hold a lock:
    hence queues, whose `put` is made for that, and a thread that waits beforehand.
    """

    def __init__(self, manager: ServiceManager) -> None:
        self.stopping = False
        self.built = False
        self._manager = manager
        self._something: SimpleQueue[int] = SimpleQueue()
        self._end: SimpleQueue[int] = SimpleQueue()
        threading.Thread(target=self._end_anyway, name="pgvigil-end", daemon=True).start()

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.stopping:
            log.info("stopping_already", signal=name)
        elif number == signal.SIGHUP:
            log.info("reloading", signal=name)
            self._something.put(number)
        else:
            log.info("stopping", signal=name)
            self._leave(number)

    def to_reload(self) -> bool:
        """Wait until asked for something: True to reload, False to stop."""
        self._something.get()
        while not self._something.empty():
            self._something.get()
        return not self.stopping

    def _leave(self, number: int) -> None:
        self.stopping = True
        self._end.put(number)
        self._manager.stopping()
        if not self.built:
            raise SystemExit(0)
        self._something.put(number)

    def _end_anyway(self) -> None:
        """The last resort. The interpreter's own end waits for threads too, and one may hang in a disk for ever."""
        self._end.get()
        time.sleep(END_S - _LAST_WORDS_S)
        log.warning("stopping_cut_short", after_s=END_S)
        time.sleep(_LAST_WORDS_S)
        os._exit(0)


def _run(settings: Settings, started: Callable[[Daemon], None]) -> int:
    manager = service_manager()
    asked = _Asked(manager)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, asked)
    try:
        daemon = Daemon(settings, manager=manager)
        asked.built = True
    except SystemExit:
        log.info("stopped")
        return 0
    reload = Reload(daemon, settings.file, os.environ)
    try:
        daemon.start()
        if not asked.stopping:
            manager.ready()
        started(daemon)
        while asked.to_reload():
            manager.reloading()
            reload()
            manager.ready()
    finally:
        daemon.stop()
    log.info("stopped")
    return 0
