"""A server on the far side of a link that can be cut: a network namespace and a pair of virtual interfaces.

The namespace has no name: it lives as long as the thread, the server and the connections in it, and its end takes
the link along. After a test run that was killed the server is ended by its own watcher, the connections by the kernel
(minutes, where the link is down); the next run removes what is left of such a link.
"""

import ctypes
import itertools
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from pgvigil.scratch.server import ScratchServer
from tests.support.reporting import not_run
from tests.support.servers import StartServer

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


class FarServer:
    """A PostgreSQL server in a namespace, at `dsn()` for those outside. `link_down` and `swallow` cut it off."""

    def __init__(self, inside: ThreadPoolExecutor, near: str, far: str, interface: str) -> None:
        self._inside = inside
        self._near = near
        self._far = far
        self._interface = interface
        self.server: ScratchServer | None = None

    def start(self, start: StartServer) -> None:
        server = self.call(lambda: start(settings={"listen_addresses": f"127.0.0.1,{self._far}"}))
        with (server.data / "pg_hba.conf").open("a", encoding="utf-8") as admitted:
            admitted.write(f"host all all {self._near}/32 trust\n")
        server.reload({})
        self.server = server

    def dsn(self) -> str:
        assert self.server is not None
        return f"host={self._far} port={self.server.port} dbname=postgres user=postgres"

    def inner_dsn(self) -> str:
        """For who connects inside, by `call`."""
        assert self.server is not None
        return self.server.dsn()

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns, done inside."""
        return self._inside.submit(work).result(60)

    def link_down(self) -> None:
        """As when a cable is pulled at the far end: packets vanish, nobody is told."""
        self._ip("link", "set", self._interface, "down")

    def link_up(self) -> None:
        self._ip("link", "set", self._interface, "up")

    def swallow(self) -> None:
        """Our packets arrive, and all answers vanish."""
        self._ip("route", "add", "blackhole", f"{self._near}/32")

    def answer(self) -> None:
        """Undo `swallow`."""
        self._ip("route", "del", "blackhole", f"{self._near}/32")

    def _ip(self, *words: str) -> None:
        self.call(lambda: _ip(*words))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _leave_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _here() -> str:
    """The network of the thread that asks, as `ip` takes it."""
    return f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"


def _sweep() -> None:
    """Links of runs that are no more."""
    for entry in Path("/sys/class/net").iterdir():
        owner = re.fullmatch(r"pgv(\d+)n\d+", entry.name)
        if owner and not psutil.pid_exists(int(owner[1])):
            subprocess.run(["ip", "link", "del", entry.name], check=False, capture_output=True)


@contextmanager
def far_server(start: StartServer) -> Iterator[FarServer]:
    """A started server behind a link of its own; not run where that is not permitted."""
    if os.geteuid() != 0:
        not_run("only root can make a network namespace")
    if shutil.which("ip") is None:
        not_run("network namespaces need the ip command (Debian: apt-get install iproute2)")
    _sweep()
    number = next(_numbers)
    host = os.getpid() % 250 + 1
    near, far = f"10.251.{host}.{number * 4 + 1}", f"10.251.{host}.{number * 4 + 2}"
    outside, interface = f"pgv{os.getpid()}n{number}", "far0"
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="namespace") as inside:
        try:
            inside.submit(_leave_network).result()
            there = inside.submit(_here).result()
            _ip("link", "add", outside, "type", "veth", "peer", "name", interface, "netns", there)
        except (OSError, subprocess.CalledProcessError) as error:
            not_run(f"network namespaces are not permitted here ({error})", mendable=False)
        try:
            _ip("address", "add", f"{near}/30", "dev", outside)
            _ip("link", "set", outside, "up")
            for words in (
                ("address", "add", f"{far}/30", "dev", interface),
                ("link", "set", "lo", "up"),
                ("link", "set", interface, "up"),
            ):
                inside.submit(_ip, *words).result()
            behind = FarServer(inside, near, far, interface)
            behind.start(start)
            yield behind
        finally:
            _ip("link", "del", outside)
