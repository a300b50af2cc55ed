"""A service manager's end of sd_notify."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.polling import poll


class Manager:
    """Keeps what it is told, each datagram with the monotonic time at which it was read."""

    def __init__(self, listener: socket.socket, address: str) -> None:
        self._listener = listener
        self.address = address
        self._told: list[tuple[float, str]] = []

    def told(self) -> list[tuple[float, str]]:
        """Everything so far, oldest first."""
        while True:
            try:
                self._told.append((time.monotonic(), self._listener.recv(4096).decode()))
            except BlockingIOError:
                return self._told

    def count(self, message: str) -> int:
        return sum(1 for _, text in self.told() if text == message)

    def wait(self, message: str, *, times: int = 1, deadline_s: float = 20.0) -> None:
        """Until it was told so `times` times, beginning with the first."""
        poll(lambda: self.count(message) >= times, deadline_s, message=f"{message}: {self.told()}")


@contextmanager
def service_manager(folder: Path) -> Iterator[Manager]:
    """A manager that listens at a path in `folder`."""
    address = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.setblocking(False)
        yield Manager(listener, address)
