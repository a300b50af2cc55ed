"""uvicorn in a thread of its own."""

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from daemon.http.connections import Connection
from pgvigil.problems import Problem, SetupError

START_LIMIT_S = 10.0


def bind(listen: str) -> socket.socket:
    """A listening socket at `host:port` (port 0: any free one); raises SetupError when it cannot be had."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise SetupError(
            Problem(
                slug="listen-failed",
                sentence=f"cannot listen on {listen}: {error.strerror or error}.",
                fix="choose another address in daemon.listen, or stop what uses this one",
            )
        ) from error
    return listener


class HttpServer:
    """Serves `app` on an already listening socket until `stop`."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                http=Connection,
                ws="none",
                timeout_keep_alive=20,
                limit_concurrency=200,
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(target=self._run, name="pgvigil-http", daemon=True)

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._listener.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])
