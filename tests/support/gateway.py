"""A Pushgateway on loopback, or any that takes reports: keeps what is put or posted to it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass
class Gateway:
    """What was put or posted, and what to answer. `garbled` answers something that is not HTTP."""

    port: int = 0
    garbled: bool = False
    status: int = 200
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def running_gateway() -> Iterator[Gateway]:
    """Serves until the end of the block."""
    world = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            world.received.append((self.path, dict(self.headers), body))
            if world.garbled:
                self.wfile.write(b"what?\r\n\r\n")
            else:
                self.send_response(world.status)
                self.send_header("Location", f"http://127.0.0.1:{world.port}/login")
                self.end_headers()

        def do_POST(self) -> None:
            self.do_PUT()

        def log_message(self, *_arguments: object) -> None:
            """Not onto the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    world.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield world
    server.shutdown()
    server.server_close()
