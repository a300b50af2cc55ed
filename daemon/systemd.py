"""What a service manager is told: sd_notify, as datagrams to the socket that it names.

The protocol is that of sd_notify(3): lines of KEY=VALUE to the Unix socket in NOTIFY_SOCKET. Nothing here raises, and
nothing waits longer than a second: a manager that is gone or busy must never disturb the daemon.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping

from pgvigil.text import one_line

PATIENCE_S = 1.0  # for what a manager must hear; the rest is dropped when its queue is full
_STATUS_CHARACTERS = 200


class ServiceManager:
    """The manager that `environment` names; without one every call does nothing.

    `watchdog_s` is how long it lets us be silent before it ends us, None where it does not.
    """

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = None if self._address is None else _watchdog_s(environment, pid)
        self._status = ""

    def ready(self) -> None:
        """Started, or done with reloading."""
        self._send("READY=1", PATIENCE_S)

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", PATIENCE_S)

    def stopping(self) -> None:
        self._send("STOPPING=1", PATIENCE_S)

    def status(self, text: str) -> None:
        """One line for people (`systemctl status` shows it); sent when it differs from the last one."""
        line = one_line(text, _STATUS_CHARACTERS)
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}", 0.0)

    def watchdog(self) -> None:
        """Everything works; to be said at least every half of `watchdog_s`."""
        self._send("WATCHDOG=1", 0.0)

    def _send(self, message: str, patience_s: float) -> None:
        if self._address is None:
            return
        with (
            contextlib.suppress(OSError),  # gone, full or refusing: the manager will draw its own conclusions
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.settimeout(patience_s)
            sender.sendto(message.encode(errors="replace"), self._address)


def service_manager() -> ServiceManager:
    """The one that started this process."""
    return ServiceManager(os.environ, os.getpid())


def _address(text: str) -> str | None:
    """The address of a socket in the file system (`/...`) or in Linux's abstract namespace (`@...`)."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
    """None where the watchdog is off, or meant for another process of the service."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) > 0 else None


NOBODY = ServiceManager({}, 0)
