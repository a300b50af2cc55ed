"""Who may hold a connection: a client that asks for nothing must not keep a probe from being answered."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_LIMIT_S = 10.0  # for a request's line and headers; uvicorn itself would wait for ever
FLUSH_LIMIT_S = 30.0  # for a client to take what was answered, after the connection was closed to it
MOST = 150  # connections; of more than that those that ask for nothing go, the oldest first


class Connection(H11Protocol):
    """A connection that ends when no request comes in time, or when others are in need of its place."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._overdue: asyncio.TimerHandle | None = None
        self.waits_since_s = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is no request at hand: none came yet, or the last one was answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_request()
        if len(self.connections) > MOST:
            make_room(self.connections, 1, besides=self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.waits:
            self._await_request()
        else:
            self._forget_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self.loop.call_later(FLUSH_LIMIT_S, self.transport.abort)

    def _await_request(self) -> None:
        if self._overdue is None:
            self.waits_since_s = self.loop.time()
            self._overdue = self.loop.call_later(HEAD_LIMIT_S, self.transport.abort)

    def _forget_deadline(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None


def make_room(connections: set[Any], most: int, *, besides: Connection | None = None) -> None:
    """End up to `most` of those that ask for nothing, the oldest first."""
    others = (one for one in connections if isinstance(one, Connection) and one is not besides)
    for oldest in sorted((one for one in others if one.waits), key=lambda one: one.waits_since_s)[:most]:
        connections.discard(oldest)  # the loop tells it only later; here it counts no more
        oldest.transport.abort()
