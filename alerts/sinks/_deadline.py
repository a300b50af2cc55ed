"""An end to a whole call, however slowly the other side goes on.

A time-out of a socket is that of each step: an answer of one byte a second never meets it. At the end of the time the
connection is cut, which ends the step under way. Nothing goes on behind anybody's back: a call that was given up and
still arrived would be told twice.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPMessage, HTTPSConnection
from io import BytesIO
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.request import BaseHandler, HTTPHandler, HTTPSHandler, OpenerDirector, Request, build_opener

STEPS = 3.0  # a whole call takes at most this many times the time-out of a step


class Deadline:
    """From entering to leaving, at most `within_s`. Once it has cut, what broke a connection was the time.

    URLError stays as it is: it says that the request was not wholly sent.
    """

    def __init__(self, within_s: float) -> None:
        self._timer = threading.Timer(within_s, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self.over = False  # it has cut: what was read last may be a part of an answer

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            over, watched = self.over, self._watched
            self._watched = []
        for each in watched:
            each.close()
        if over and isinstance(error, OSError) and not isinstance(error, URLError):
            raise TimeoutError from error

    def watch(self, connection: socket.socket) -> socket.socket:
        """`connection`, which ends with the time. A duplicate is kept: TLS takes the first one over."""
        with self._lock:
            self._watched.append(connection.dup())
            if self.over:
                _cut(self._watched[-1])
        return connection

    def connect(self, *where: Any, **how: Any) -> socket.socket:
        """`socket.create_connection`, watched."""
        return self.watch(socket.create_connection(*where, **how))

    def opener(self, *more: BaseHandler, context: SSLContext | None = None) -> OpenerDirector:
        """urllib's, with connections that are watched."""
        return build_opener(*more, _Plain(self), _Secure(self, context))

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            for each in self._watched:
                _cut(each)


def whole(request: Request, timeout_s: float, context: SSLContext | None) -> tuple[int, HTTPMessage, bytes]:
    """Status, headers and body. Raises HTTPError with its body at hand, and what else urllib raises."""
    with Deadline(STEPS * timeout_s) as deadline:
        try:
            with deadline.opener(context=context).open(request, timeout=timeout_s) as response:
                return response.status, response.headers, response.read()
        except HTTPError as error:
            with error:
                body = BytesIO(error.read())
            raise HTTPError(error.url, error.code, error.msg, error.headers, body) from None


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side has hung up
        connection.shutdown(socket.SHUT_RDWR)


class _Plain(HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._made = partial(_made, HTTPConnection, deadline)

    def http_open(self, req: Request) -> Any:
        return self.do_open(self._made, req)


class _Secure(HTTPSHandler):
    def __init__(self, deadline: Deadline, context: SSLContext | None) -> None:
        super().__init__(context=context)
        self._made = partial(_made, HTTPSConnection, deadline)
        self._trust = context

    def https_open(self, req: Request) -> Any:
        return self.do_open(self._made, req, context=self._trust)


def _made(kind: Callable[..., HTTPConnection], deadline: Deadline, *where: Any, **how: Any) -> HTTPConnection:
    connection = kind(*where, **how)
    connection._create_connection = deadline.connect  # type: ignore[attr-defined]  # noqa: SLF001 - before a proxy or TLS
    return connection
