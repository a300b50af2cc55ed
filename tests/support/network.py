"""Peers that misbehave on the network: silent, full, or between us and a server."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

_SSL_REQUEST = 80877103


@contextmanager
def silent_listener() -> Iterator[int]:
    """A port whose kernel accepts connections while nobody ever says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield listener.getsockname()[1]


@contextmanager
def full_listener() -> Iterator[int]:
    """A port that drops every further SYN, because its queue is full: no refusal, no connection."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # more than a queue of length 0 holds on any kernel
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class Pooler:
    """Forwards to a server, and treats the start-up parameter `options` as poolers do.

    `refuse` answers it with PgBouncer's error; otherwise it is silently dropped.
    """

    def __init__(self, server_port: int, *, refuse: bool) -> None:
        self._server_port = server_port
        self._refuse = refuse
        self._stack = ExitStack()
        self._listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._stack.close()

    def _spawn(self, target: object, *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._stack.enter_context(client)
                self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, struct.error):
            code, parameters = _startup(client)
            if code == _SSL_REQUEST:
                client.sendall(b"N")
                code, parameters = _startup(client)
            if self._refuse and b"options" in parameters:
                client.sendall(_fatal(b"08P01", b"unsupported startup parameter: options"))
                client.close()
                return
            parameters.pop(b"options", None)
            server = self._stack.enter_context(socket.create_connection(("127.0.0.1", self._server_port)))
            server.sendall(_packed(code, parameters))
            self._spawn(_pump, client, server)
            _pump(server, client)


def _startup(client: socket.socket) -> tuple[int, dict[bytes, bytes]]:
    length, code = struct.unpack("!ii", client.recv(8, socket.MSG_WAITALL))
    words = client.recv(length - 8, socket.MSG_WAITALL).split(b"\0") if length > 8 else []
    return code, dict(zip(words[0::2], words[1::2], strict=False))


def _packed(code: int, parameters: dict[bytes, bytes]) -> bytes:
    words = b"".join(key + b"\0" + value + b"\0" for key, value in parameters.items() if key)
    body = struct.pack("!i", code) + words + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def _fatal(sqlstate: bytes, message: bytes) -> bytes:
    body = b"SFATAL\0VFATAL\0C" + sqlstate + b"\0M" + message + b"\0\0"
    return b"E" + struct.pack("!i", len(body) + 4) + body


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
