"""A destination on loopback that speaks HTTP and misbehaves when told to."""

import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.serving import in_thread, tls


@dataclass(frozen=True)
class Asked:
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class Say:
    """An answer; `endless` sends its body for ever."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    endless: bool = False


DROP, HANG, GARBAGE, DRIP = "drop", "hang", "garbage", "drip"


class Receiver:
    """Answers `usual`, or what is next in `faults`; all that was asked is in `asked`."""

    def __init__(self, usual: Say) -> None:
        self.usual = usual
        self.faults: deque[Say | str] = deque()
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self.drips_after = b""
        self.hung_up = False  # whoever was given a byte at a time has left
        self.port = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def handle(self, handler: "_Handler") -> None:
        length = int(handler.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append(Asked(handler.path, headers, handler.rfile.read(length)))
        handler.close_connection = True
        fault = self.faults.popleft() if self.faults else self.usual
        if isinstance(fault, Say):
            self._answer(handler, fault)
        elif fault == HANG:
            self.over.wait(30)
        elif fault == GARBAGE:
            handler.wfile.write(b"\x00\xff nonsense\r\n\r\n")
        elif fault == DRIP:
            self._drip(handler)

    def _drip(self, handler: "_Handler") -> None:
        try:
            handler.wfile.write(self.drips_after)
            while not self.over.wait(0.05):
                handler.wfile.write(b"H")
        except OSError:
            self.hung_up = True
            raise

    def _answer(self, handler: "_Handler", say: Say) -> None:
        handler.send_response(say.status)
        for name, value in say.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(say.body)
        while say.endless and not self.over.wait(0.01):
            handler.wfile.write(b"x" * 4096)


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        try:
            self.receiver.handle(self)
        except OSError:
            self.close_connection = True  # the caller has hung up

    def log_message(self, *_about: Any) -> None:
        """Tests look at `asked`."""


@contextmanager
def receiving(usual: Say, certificate: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """Runs until left; with a key and certificate it speaks TLS."""
    receiver = Receiver(usual)
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if certificate is not None:
        server.socket = tls(certificate).wrap_socket(server.socket, server_side=True)
        receiver.scheme = "https"
    receiver.port = server.server_address[1]
    with in_thread(server, receiver.over):
        yield receiver


def nobody_there() -> str:
    """A URL that is refused."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
