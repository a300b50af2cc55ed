"""uvicorn in a thread of its own."""

import asyncio
import errno
import socket
import threading
import time
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from daemon.http.connections import Connection, make_room
from pgvigil.problems import Problem, SetupError

log = structlog.get_logger(__name__)

START_LIMIT_S = 10.0
_POLL_S = 0.01
_BACKLOG = 128
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SENT_AWAY = 8  # clients that ask for nothing, to let in some that do; each time that the loop tries again
_ROOM_S = 0.9
_SAY_S = 60.0


def bind(listen: str) -> socket.socket:
    """A listening socket at `host:port` (port 0: any free one); raises SetupError when it cannot be had."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise SetupError(
            Problem(
                slug="listen-failed",
                sentence=f"Cannot listen on {listen}: {error.strerror or error}.",
                fix="Choose another address in daemon.listen, or stop what uses this one.",
            )
        ) from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn, which shows ten times a second that its event loop turns, and bears it when nobody can be let in."""

    beat_mono_s = 0.0
    _room_mono_s = _said_mono_s = float("-inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._unhandled)
        await super().startup(sockets)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _EXHAUSTED:
            self._not_accepted(error)
        else:
            loop.default_exception_handler(context)

    def _not_accepted(self, error: OSError) -> None:
        """The loop tries again each second, and tells of every place in its queue: thousands of lines, were they said."""
        now_s = time.monotonic()
        if now_s - self._room_mono_s > _ROOM_S:
            self._room_mono_s = now_s
            make_room(self.server_state.connections, _SENT_AWAY)
        if now_s - self._said_mono_s > _SAY_S:
            self._said_mono_s = now_s
            log.warning("http_not_accepted", error=error.strerror)

    async def on_tick(self, counter: int) -> bool:
        self.beat_mono_s = time.monotonic()
        return await super().on_tick(counter)


class HttpServer:
    """Serves `app` on an already listening socket until `stop`."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                log_level="error",  # what strangers send is nothing that anybody here can mend
                lifespan="off",
                server_header=False,
                http=Connection,
                ws="none",
                backlog=_BACKLOG,
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

    @property
    def age_s(self) -> float:
        """How long ago the event loop last turned; 0 while it does not run."""
        beat_mono_s = self._server.beat_mono_s
        return time.monotonic() - beat_mono_s if beat_mono_s and not self._server.should_exit else 0.0

    def start(self) -> None:
        """Returns when requests are answered."""
        self._server.beat_mono_s = time.monotonic()
        self._thread.start()
        give_up_at_s = time.monotonic() + START_LIMIT_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < give_up_at_s:
            time.sleep(_POLL_S)

    def stop(self, within_s: float = 5.0) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(within_s)
        self._listener.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])
