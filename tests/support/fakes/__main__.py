"""The process of the fake servers: orders come as JSON lines on standard input, answers go to standard output.

python -m tests.support.fakes UPSTREAM_PORT
"""

import asyncio
import json
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.fakes.serving import FakeServer, Recorder
from tests.support.fakes.tape import Tape

_PORTS = range(12_000, 20_000)  # out of the way of outgoing connections: a dead one must find its port again


class Stage:
    def __init__(self, upstream_port: int) -> None:
        self._tape = Tape()
        self._recorder = Recorder(self._tape, upstream_port)
        self._servers: dict[int, FakeServer] = {}

    async def record(self) -> int:
        """The port to connect to so that what is answered is recorded."""
        listener = await asyncio.start_server(self._recorder.serve, "127.0.0.1", 0)
        port: int = listener.sockets[0].getsockname()[1]
        return port

    async def serve(self, count: int) -> list[int]:
        free = iter(random.sample(_PORTS, len(_PORTS)))
        added = _free(free, count)
        for port in added:
            self._servers[port] = FakeServer(self._tape, port)
            await self._servers[port].become("healthy")
        return added

    async def become(self, mode: str, ports: list[int]) -> int:
        for port in ports:
            await self._servers[port].become(mode)
        return len(ports)

    async def end_sessions(self, ports: list[int]) -> int:
        for port in ports:
            self._servers[port].end_sessions()
        return len(ports)

    async def account(self) -> dict[str, Any]:
        """What was asked of each server, how many sessions it has, and what no answer is known for."""
        return {
            "asked": {port: server.asked for port, server in self._servers.items()},
            "sessions": {port: server.connections for port, server in self._servers.items()},
            "unknown": self._tape.unknown,
        }


def _free(candidates: Any, count: int) -> list[int]:
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found


async def main(upstream_port: int) -> None:
    stage = Stage(upstream_port)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():  # the end of it is the end of who started us
        order, arguments = json.loads(line)
        act: Callable[..., Awaitable[Any]] = getattr(stage, order)
        print(json.dumps(await act(*arguments)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
