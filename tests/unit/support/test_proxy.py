"""The misbehaving proxy does what its switches say, and nothing to what is not under them."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.support.polling import poll
from tests.support.proxy import NONE, Proxy, Then, Toxic, proxied


class Echo:
    """Sends back what it is sent; `heard` is all of it, of all connections."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while data := client.recv(65536):
                self.heard += data
                client.sendall(data)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with proxied(echo.port) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """A connection that is in use."""
    with dial(proxy) as connection:
        assert ask(connection, b"first") == b"first"
        yield connection


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def read(client: socket.socket, count: int) -> bytes:
    """That many bytes, or what came before the end."""
    data = b""
    while len(data) < count and (more := client.recv(count - len(data))):
        data += more
    return data


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return read(client, len(data))


def test_forwards_both_ways_however_much(client: socket.socket) -> None:
    data = bytes(range(256)) * 4000
    threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
    assert read(client, len(data)) == data


def test_latency_delays_and_loses_nothing(proxy: Proxy, client: socket.socket) -> None:
    proxy.down = Toxic(latency_s=0.2, jitter_s=0.05)
    began_s = time.monotonic()
    assert ask(client, b"hello") == b"hello"
    assert time.monotonic() - began_s >= 0.15


def test_bandwidth_is_a_bound(proxy: Proxy, client: socket.socket) -> None:
    proxy.up = Toxic(bytes_per_s=10_000)
    began_s = time.monotonic()
    assert ask(client, b"x" * 3000) == b"x" * 3000
    assert time.monotonic() - began_s >= 0.29


def test_half_open_keeps_the_connection_and_what_was_held_arrives_in_the_end(
    proxy: Proxy, client: socket.socket, echo: Echo
) -> None:
    proxy.down = Toxic(after=2, then=Then.STALL)
    client.settimeout(0.2)
    client.sendall(b"hello")
    assert client.recv(5) == b"he"
    with pytest.raises(TimeoutError):
        client.recv(3)
    assert echo.heard == b"firsthello"
    proxy.heal()
    client.settimeout(5)
    assert read(client, 3) == b"llo"
    assert ask(client, b"again") == b"again"


def test_a_reset_in_the_middle_is_seen_as_one(proxy: Proxy, client: socket.socket) -> None:
    assert ask(client, b"before") == b"before"  # what passed before the switch does not count
    proxy.down = Toxic(after=3, then=Then.RESET)
    client.sendall(b"after")
    with pytest.raises(ConnectionResetError):
        read(client, 5)


def test_a_truncated_answer_ends_the_stream_in_order(proxy: Proxy, client: socket.socket) -> None:
    proxy.down = Toxic(after=3, then=Then.FINISH)
    client.sendall(b"hello")
    assert read(client, 3) == b"hel"
    assert client.recv(1) == b""


def test_garbage_comes_in_between_once(proxy: Proxy, client: socket.socket) -> None:
    proxy.down = Toxic(after=2, then=Then.GARBAGE, garbage=b"<?>")
    client.sendall(b"hello")
    assert read(client, 8) == b"he<?>llo"
    assert ask(client, b"again") == b"again"


def test_refuses_and_listens_again_on_the_same_port(proxy: Proxy, client: socket.socket) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    assert ask(client, b"old ones stay") == b"old ones stay"
    proxy.heal()
    with dial(proxy) as later:
        assert ask(later, b"hello") == b"hello"


def test_a_slow_accept_delays_new_clients_only(proxy: Proxy, client: socket.socket) -> None:
    proxy.accept_after_s = 30
    with dial(proxy) as later:
        later.sendall(b"hello")
        later.settimeout(0.2)
        with pytest.raises(TimeoutError):
            later.recv(1)
        assert ask(client, b"quick") == b"quick"


def test_cut_resets_what_there_is_and_new_ones_go_where_it_points(
    proxy: Proxy, client: socket.socket
) -> None:
    with ExitStack() as stack:
        other = Echo()
        stack.callback(other.close)
        proxy.point_at(other.port)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        later = stack.enter_context(dial(proxy))
        assert ask(later, b"hello") == b"hello"
        assert other.heard == b"hello"
        assert proxy.down is NONE


def test_closing_leaves_no_thread(echo: Echo) -> None:
    before = threading.active_count()
    with proxied(echo.port) as proxy, dial(proxy) as client:
        ask(client, b"hello")
        proxy.down = Toxic(then=Then.STALL)
        client.sendall(b"held")
    poll(lambda: threading.active_count() <= before, 10)
