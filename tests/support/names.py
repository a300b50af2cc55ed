"""A name server of our own, and a daemon that asks it and no other."""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.reporting import not_run

ADDRESS = "127.0.0.77"  # port 53 of it; the resolver knows no other port
PROGRAM = "tests.support.resolving_daemon"
_SERVFAIL, _NXDOMAIN = 2, 3
_A = 1


@dataclass(frozen=True, slots=True)
class Says:
    """What is answered for a name: an address, or `failed`; after `after_s`, or never (None)."""

    address: str = ""
    failed: bool = False
    after_s: float | None = 0.0


class NameServer:
    """Answers questions by UDP from `names`; an unknown name does not exist. Change it while it runs."""

    def __init__(self) -> None:
        self.names: dict[str, Says] = {}
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((ADDRESS, 53))
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                question, client = self._socket.recvfrom(512)
                if not question:
                    return
                threading.Thread(target=self._answer, args=(question, client), daemon=True).start()

    def _answer(self, question: bytes, client: tuple[str, int]) -> None:
        name, kind, end = _asked(question)
        self.asked.append(name)
        says = self.names.get(name)
        if says is not None:
            if says.after_s is None:
                return
            time.sleep(says.after_s)
        with suppress(OSError):
            self._socket.sendto(_reply(question[:end], kind, says), client)


def _asked(question: bytes) -> tuple[str, int, int]:
    """Name, type, and where the question ends."""
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    return ".".join(labels), struct.unpack("!H", question[at + 1 : at + 3])[0], at + 5


def _reply(question: bytes, kind: int, says: Says | None) -> bytes:
    code = _NXDOMAIN if says is None else _SERVFAIL if says.failed else 0
    found = b""
    if code == 0 and says is not None and kind == _A:
        found = b"\xc0\x0c" + struct.pack("!HHIH", _A, 1, 0, 4) + socket.inet_aton(says.address)
    return question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, bool(found), 0, 0) + question[12:] + found


@contextmanager
def name_server(folder: Path) -> Iterator[tuple[NameServer, tuple[str, ...]]]:
    """The server, and the program that `running_daemon` must run so that the daemon asks it."""
    if os.geteuid() != 0:
        not_run("only root can give a process a resolver of its own")
    try:
        server = NameServer()
    except OSError as error:
        not_run(f"port 53 of {ADDRESS} is not to be had ({error.strerror})", mendable=False)
    configuration = folder / "resolv.conf"
    configuration.write_text(f"nameserver {ADDRESS}\noptions timeout:12 attempts:1\n", encoding="ascii")
    try:
        yield server, (PROGRAM, str(configuration))
    finally:
        server.close()
