"""Servers of tests on loopback: each in a thread, until its block is left."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseServer


@contextmanager
def in_thread(server: BaseServer, over: threading.Event) -> Iterator[None]:
    """`over` is set at the end, for handlers that would hang for ever."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """Of a server with that key and certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    return context
