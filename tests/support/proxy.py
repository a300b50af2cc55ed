"""A TCP proxy that misbehaves on demand: what a network, a firewall or a load balancer can do to a connection."""

import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LOOK_S = 0.02  # how soon a switch is noticed by a connection on which nothing moves
_CHUNK_BYTES = 65536


class Then(Enum):
    """What happens to a stream once `Toxic.after` bytes of it have passed."""

    PASS = auto()
    STALL = auto()  # half-open: nothing more is forwarded, and the sockets stay
    RESET = auto()  # RST to both ends
    FINISH = auto()  # FIN to both ends
    GARBAGE = auto()  # the toxic's own bytes come in between, once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Toxic:
    """What is done to one direction. Bytes are counted per connection, from when the toxic was set."""

    latency_s: float = 0.0  # added to each chunk, plus or minus up to `jitter_s`
    jitter_s: float = 0.0
    bytes_per_s: float = 0.0  # 0: no limit
    after: int = 0
    then: Then = Then.PASS
    garbage: bytes = b""


NONE = Toxic()


@dataclass(slots=True)
class _Stream:
    """One direction of one connection. `held` is what was read and not yet passed on."""

    source: socket.socket
    sink: socket.socket
    toxic: Toxic = NONE
    passed: int = 0
    held: bytes = b""
    spoiled: bool = False
    ended: bool = False

    def under(self, toxic: Toxic) -> None:
        if toxic is not self.toxic:
            self.toxic, self.passed, self.spoiled = toxic, 0, False

    @property
    def room(self) -> int | None:
        """Bytes that may still pass unharmed; None without an end."""
        toxic = self.toxic
        if toxic.then is Then.PASS or (toxic.then is Then.GARBAGE and self.spoiled):
            return None
        return max(0, toxic.after - self.passed)


class Proxy:
    """Forwards from `port` of `address` to `upstream`, a port of `host`. Everything may be switched while it runs.

    `up` is what clients send, `down` what they are answered. `accept_after_s` lets new clients wait for their
    connection to the server; a client is accepted by the kernel all the same.
    """

    def __init__(
        self, upstream: int, *, host: str = "127.0.0.1", address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.up = NONE
        self.down = NONE
        self.accept_after_s = 0.0
        self.accepted = 0
        self._upstream = (host, upstream)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._cut: set[threading.Event] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._address = address
        self.port = port
        self.listen()

    # --- switches ---------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Forward as if nothing had been; what was held back goes on its way."""
        self.up = self.down = NONE
        self.accept_after_s = 0.0
        self.listen()

    def point_at(self, upstream: int) -> None:
        """New connections go there; as a virtual address that moves, it takes the old ones along (cut)."""
        self._upstream = (self._upstream[0], upstream)

    def refuse(self) -> None:
        """New clients are refused, by the kernel."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def listen(self) -> None:
        """Undo `refuse`."""
        if self._listener is None:
            self._listener = socket.create_server((self._address, self.port), backlog=128)
            self.port = self._listener.getsockname()[1]
            self._spawn(self._accept, self._listener)

    def cut(self) -> None:
        """Reset all connections that there are."""
        with self._lock:
            for connection in self._cut:
                connection.set()

    @property
    def connections(self) -> int:
        return len(self._cut)

    def close(self) -> None:
        self.refuse()
        self._closing.set()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    # --- inside -----------------------------------------------------------------------------------------

    def _spawn(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="proxy", daemon=True)  # type: ignore[arg-type]
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.accepted += 1
                self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        cut = threading.Event()
        with self._lock:
            self._cut.add(cut)
        try:
            with client, suppress(OSError):
                if cut.wait(self.accept_after_s) or self._closing.is_set():
                    return
                with socket.create_connection(self._upstream, timeout=10) as server:
                    server.settimeout(10)
                    _Pair(self, client, server, cut).run()
        finally:
            with self._lock:
                self._cut.discard(cut)


@dataclass(slots=True)
class _Pair:
    """One connection: both directions in one thread, so that closing a socket is really closing it."""

    proxy: Proxy
    client: socket.socket
    server: socket.socket
    cut: threading.Event
    streams: tuple[_Stream, _Stream] = field(init=False)

    def __post_init__(self) -> None:
        self.streams = (_Stream(self.client, self.server), _Stream(self.server, self.client))

    def run(self) -> None:
        up, down = self.streams
        while not (up.ended or down.ended):
            if self.cut.is_set():
                self._reset()
                return
            self._read()
            up.under(self.proxy.up)
            down.under(self.proxy.down)
            for stream in self.streams:
                if stream.held and not self._forward(stream):
                    return

    def _read(self) -> None:
        """A stream that holds something back is not read further: its sender feels it, as on a real network."""
        wanted = [stream.source for stream in self.streams if not stream.held]
        readable, _, _ = select.select(wanted, [], [], _LOOK_S)
        for stream in self.streams:
            if stream.source in readable:
                stream.held = stream.source.recv(_CHUNK_BYTES)
                stream.ended = not stream.held
        if not wanted:
            time.sleep(_LOOK_S)

    def _forward(self, stream: _Stream) -> bool:
        """Pass on what may pass; False when that was the end of the connection."""
        toxic, room = stream.toxic, stream.room
        part = stream.held if room is None else stream.held[:room]
        if part:
            self._pass(stream, toxic, part)
        if room is None or len(part) < room or toxic.then is Then.STALL:
            return True
        if toxic.then is Then.GARBAGE:
            stream.sink.sendall(toxic.garbage)
            stream.spoiled = True
            return True
        if toxic.then is Then.RESET:
            self._reset()
        return False

    def _pass(self, stream: _Stream, toxic: Toxic, part: bytes) -> None:
        if toxic.bytes_per_s:
            part = part[: max(1, int(toxic.bytes_per_s * 0.05))]
            time.sleep(len(part) / toxic.bytes_per_s)
        if toxic.latency_s:
            time.sleep(max(0.0, toxic.latency_s + random.uniform(-toxic.jitter_s, toxic.jitter_s)))
        stream.sink.sendall(part)
        stream.passed += len(part)
        stream.held = stream.held[len(part) :]

    def _reset(self) -> None:
        for end in (self.client, self.server):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            end.close()


@contextmanager
def proxied(
    upstream: int, *, host: str = "127.0.0.1", address: str = "127.0.0.1", port: int = 0
) -> Iterator[Proxy]:
    """A proxy before that port, gone afterwards with all of its connections."""
    proxy = Proxy(upstream, host=host, address=address, port=port)
    try:
        yield proxy
    finally:
        proxy.close()
