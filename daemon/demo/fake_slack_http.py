"""The fake's HTTP side: reads what slack-sdk sends, plays faults, answers."""

import contextlib
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from daemon.demo.fake_slack_faults import Fault

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    token: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is JSON when it is a dict. `fault` says how to misbehave while answering."""

    body: dict[str, Any] | str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    fault: Fault | None = None


class Server(ThreadingHTTPServer):
    """Hands each request to `handle`; `stopping` ends hanging answers."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, port: int, handle: Callable[[Request], Answer]) -> None:
        self.handle = handle
        self.stopping = Event()
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """The fake keeps its own log."""

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self.close_connection = True
        answer = self.server.handle(self._request())
        fault = answer.fault
        if fault and fault.wait_s and self.server.stopping.wait(fault.wait_s):
            return
        if fault and fault.drop:
            self._reset()
            return
        with contextlib.suppress(ConnectionError):
            self._send(answer)

    def _request(self) -> Request:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        arguments: dict[str, Any] = dict(parse_qsl(url.query))
        if "json" in self.headers.get("Content-Type", ""):
            arguments |= json.loads(raw or b"{}")
        else:
            arguments |= {key: _decoded(value) for key, value in parse_qsl(raw.decode(errors="replace"))}
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return Request(url.path, str(arguments.pop("token", "")) or token, arguments)

    def _send(self, answer: Answer) -> None:
        text = json.dumps(answer.body) if isinstance(answer.body, dict) else answer.body
        body = text.encode(errors="replace")
        kind = "application/json; charset=utf-8" if isinstance(answer.body, dict) else "text/html"
        self.send_response(answer.status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), *answer.headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """Closes with RST, as a broken middlebox does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.connection.shutdown(socket.SHUT_RD)
        self.rfile.close()
        self.wfile.close()
        self.connection.close()


def _decoded(value: str) -> Any:
    """A form's value: blocks and metadata travel as JSON text in it."""
    if value[:1] in ("[", "{"):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value
