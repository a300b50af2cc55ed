"""What answers like a PgBouncer's admin console, with whatever a test wants it to say.

For versions that this machine has not, and for answers that no version gives.
"""

import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

_SSL_REQUEST = 80877103
_TEXT, _INT4, _NUMERIC = 25, 23, 1700

Table = tuple[Sequence[str], Sequence[Sequence[object]]]


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def table(columns: Sequence[str], *rows: Sequence[object], type_of: Mapping[str, int] | None = None) -> bytes:
    """Columns whose first value is a number are numbers, unless `type_of` says otherwise."""
    first = rows[0] if rows else [""] * len(columns)
    types = [
        (type_of or {}).get(name, _INT4 if isinstance(value, int) else _TEXT)
        for name, value in zip(columns, first, strict=True)
    ]
    fields = b"".join(
        name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, oid, -1, -1, 0)
        for name, oid in zip(columns, types, strict=True)
    )
    described = message(b"T", struct.pack("!h", len(columns)) + fields)
    return described + b"".join(map(_row, rows)) + message(b"C", b"SHOW\0")


def _row(values: Sequence[object]) -> bytes:
    def field(value: object) -> bytes:
        if value is None:
            return struct.pack("!i", -1)
        raw = value if isinstance(value, bytes) else str(value).encode()
        return struct.pack("!i", len(raw)) + raw

    return message(b"D", struct.pack("!h", len(values)) + b"".join(map(field, values)))


def error(text: str, sqlstate: str = "08P01") -> bytes:
    body = f"SERROR\0C{sqlstate}\0M{text}\0\0"
    return message(b"E", body.encode())


CONFIG = table(
    ("key", "value"), ("max_client_conn", "100"), ("default_pool_size", "20"), ("pool_mode", "session")
)


def answers(version: str, **shown: bytes) -> dict[str, bytes]:
    """What a console of that version says to the start of a session, and to `shown`: POOLS=table(...)."""
    start = {"SHOW VERSION": table(("version",), (f"PgBouncer {version}",)), "SHOW CONFIG": CONFIG}
    return start | {f"SHOW {what}": raw for what, raw in shown.items()}


@contextmanager
def fake_console(said: Mapping[str, bytes]) -> Iterator[str]:
    """Its DSN. A command that is not in `said` is an error, as a console says it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, said), daemon=True).start()
        yield f"host=127.0.0.1 port={listener.getsockname()[1]} user=pgvigil"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, said: Mapping[str, bytes]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, said), daemon=True).start()


def _serve(connection: socket.socket, said: Mapping[str, bytes]) -> None:
    ready = message(b"Z", b"I")
    with connection, suppress(OSError, struct.error):
        length, code = struct.unpack("!ii", _exactly(connection, 8))
        if code == _SSL_REQUEST:
            connection.sendall(b"N")
            length, code = struct.unpack("!ii", _exactly(connection, 8))
        _exactly(connection, length - 8)
        status = message(b"S", b"server_version\x001.99.0/bouncer\0") + message(
            b"S", b"client_encoding\0UTF8\0"
        )
        connection.sendall(message(b"R", struct.pack("!i", 0)) + status + ready)
        while True:
            kind, size = struct.unpack("!ci", _exactly(connection, 5))
            body = _exactly(connection, size - 4)
            if kind != b"Q":
                return
            command = body.rstrip(b"\0").decode()
            connection.sendall(
                said.get(command, error(f"invalid command '{command}', use SHOW HELP;")) + ready
            )


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data
