"""`pgvigil run`: the process around the daemon. Signals set a flag; everything else happens in order."""

import faulthandler
import math
import os
import select
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
_END = (signal.SIGTERM, signal.SIGINT)


def run(settings: Settings, started: Callable[[Daemon], None] = lambda _daemon: None) -> int:
    """Run until SIGTERM or SIGINT; 0 when everything stopped in order. SIGHUP reads the file of `settings` again.

    Raises SetupError when it cannot start.
    """
    heap.share_one()  # before there are threads
    heap.look_seldom()
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

    A thread of its own hears them, by the file descriptor that Python writes each signal's number to. The main thread
    cannot: its handlers wait until it gets on, and a signal that comes just before it blocks, or that the system
    gives to another thread, does not wake it. Only while the daemon is being built do they end it there and then;
    what was opened is closed on the way out.
    """

    def __init__(self, manager: ServiceManager) -> None:
        self.stopping = False
        self.built = False
        self._left = False
        self._manager = manager
        self._something: SimpleQueue[int] = SimpleQueue()
        self._heard, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in (*_END, signal.SIGHUP):
            signal.signal(number, self._interrupt)
        threading.Thread(target=self._listen, name="pgvigil-signals", daemon=True).start()

    def to_reload(self) -> bool:
        """Wait until asked for something: True to reload, False to stop."""
        self._something.get()
        while not self._something.empty():
            self._something.get()
        return not self.stopping

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        if number in _END and not self.built and not self._left:
            self._left = True
            raise SystemExit(0)

    def _listen(self) -> None:
        """The end is the last resort: the interpreter's own waits for threads, and one may hang in a disk for ever."""
        end_s = math.inf
        while (left_s := end_s - time.monotonic()) > 0:
            waits_s = None if end_s == math.inf else left_s
            if select.select([self._heard], [], [], waits_s)[0]:
                for number in os.read(self._heard, 512):
                    self._hear(number)
                if self.stopping and end_s == math.inf:
                    end_s = time.monotonic() + END_S - _LAST_WORDS_S
        log.warning("stopping_cut_short", after_s=END_S)
        time.sleep(_LAST_WORDS_S)
        os._exit(0)

    def _hear(self, number: int) -> None:
        name = signal.Signals(number).name
        if self.stopping:
            log.info("stopping_already", signal=name)
        elif number == signal.SIGHUP:
            log.info("reloading", signal=name)
            self._something.put(number)
        else:
            log.info("stopping", signal=name)
            self.stopping = True
            self._something.put(number)
            self._manager.stopping()


def _run(settings: Settings, started: Callable[[Daemon], None]) -> int:
    manager = service_manager()
    asked = _Asked(manager)
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
