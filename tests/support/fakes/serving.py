"""One fake server on a port of its own: it answers from the tape, or misbehaves as told."""

import asyncio
import time
from collections import Counter
from contextlib import suppress

from collectors.statements import ENTRIES
from tests.support.fakes import wire
from tests.support.fakes.tape import Statements, Tape, mark

GONE = (asyncio.IncompleteReadError, ConnectionError)
_IDENTIFIER = (b"SELECT /* pgvigil:facts */ system_identifier", b"pg_control_system()")
_FIRST = 7_000_000_000_000_000_000
FLAP_S = (45.0, 30.0)  # refuses, answers
SLOW_S = 0.3  # every answer, of a slow one


class FakeServer:
    """`healthy`, `dead` (refuses), `silent` (accepts, and never answers again), `slow` or `flapping`."""

    def __init__(self, tape: Tape, port: int) -> None:
        self.asked: Counter[str] = Counter()
        self.port = port
        self._tape = tape
        self._statements = Statements()
        self._listener: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._speaks = asyncio.Event()
        self._delay_s = 0.0
        self._flapping: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        return len(self._clients)

    async def become(self, mode: str) -> None:
        if self._flapping is not None:
            self._flapping.cancel()
            self._flapping = None
        self._delay_s = SLOW_S if mode == "slow" else 0.0
        if mode == "flapping":
            self._flapping = asyncio.create_task(self._flap())
        elif mode == "dead":
            await self._die()
        else:
            await self._live()
            (self._speaks.clear if mode == "silent" else self._speaks.set)()

    async def _live(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=64)
        self._speaks.set()

    async def _die(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.end_sessions()

    def end_sessions(self) -> None:
        """As when a server crashes: the connections are reset."""
        for client in tuple(self._clients):
            client.transport.abort()

    async def _flap(self) -> None:
        while True:
            await self._die()
            await asyncio.sleep(FLAP_S[0])
            await self._live()
            await asyncio.sleep(FLAP_S[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            with suppress(*GONE):
                await self._converse(reader, writer)
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        database = wire.parameters(await wire.greeting(reader, writer))["database"]
        await self._speaks.wait()
        welcome = self._tape.welcome.get(database)
        if welcome is None:
            writer.write(wire.refusal("3D000", f'database "{database}" does not exist'))
            return
        writer.write(welcome)
        while (said := await wire.request(reader))[:1] != wire.BYE:
            await self._speaks.wait()
            await asyncio.sleep(self._delay_s)
            writer.write(self._answer(database, said))
            await writer.drain()

    def _answer(self, database: str, said: bytes) -> bytes:
        name = mark(said)
        self.asked[name] += 1
        found = self._tape.find(database, said)
        if found is None:
            return wire.refusal("0A000", "this was not recorded")
        try:
            if name == ENTRIES.name:
                return self._statements.next(found.stream, time.time())
            return self._as_itself(said, found.now(time.time()))
        except Exception as error:
            self._tape.unknown[f"{name}: {error!r}"] += 1  # told to whoever asks for the account
            raise

    def _as_itself(self, said: bytes, stream: bytes) -> bytes:
        """The answer with an identifier of its own, for who asks for that: else all of them were one cluster."""
        if not all(word in said for word in _IDENTIFIER):
            return stream
        own = bytearray(stream)
        for (value,) in wire.rows(stream):
            if value is not None:
                own[value.start : value.start + value.length] = (_FIRST + self.port).to_bytes(value.length)
        return bytes(own)


class Recorder:
    """Stands between a client and a real server, and keeps what both say."""

    def __init__(self, tape: Tape, upstream_port: int) -> None:
        self._tape = tape
        self._upstream_port = upstream_port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(*GONE):
            startup = await wire.greeting(reader, writer)
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._upstream_port)
            try:
                to_server.write(startup)
                await self._relay(
                    wire.parameters(startup)["database"], reader, writer, from_server, to_server
                )
            finally:
                to_server.close()
        writer.close()

    async def _relay(
        self,
        database: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._tape.welcome[database] = await wire.answer(from_server)
        writer.write(self._tape.welcome[database])
        while (said := await wire.request(reader))[:1] != wire.BYE:
            to_server.write(said)
            stream = await wire.answer(from_server)
            self._tape.record(database, said, stream)
            writer.write(stream)
