"""As much of PostgreSQL's protocol, version 3, as it takes to stand between a client and a server, or for a server."""

import asyncio
import struct
from collections.abc import Iterator
from typing import NamedTuple

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_HEADER = struct.Struct("!cI")
_READY = b"Z\0\0\0\5I"
_ASKING = frozenset({b"Q", b"S"})  # what ends a request: a simple query, or Sync
BYE = b"X"


class Message(NamedTuple):
    """`start` is where its body begins in the stream of bytes that it came in."""

    kind: bytes
    start: int
    body: bytes


class Field(NamedTuple):
    """One value of a row: its place in the stream of bytes."""

    start: int
    length: int


def messages(stream: bytes) -> Iterator[Message]:
    """Those in a stream that ends with a whole one."""
    at = 0
    while at < len(stream):
        kind, length = _HEADER.unpack_from(stream, at)
        end = at + 1 + length
        yield Message(kind, at + 5, stream[at + 5 : end])
        at = end


async def message(reader: asyncio.StreamReader) -> bytes:
    """The next one as it came. Raises asyncio.IncompleteReadError at the end of the stream."""
    head = await reader.readexactly(5)
    (length,) = struct.unpack_from("!I", head, 1)
    return head + await reader.readexactly(length - 4)


async def request(reader: asyncio.StreamReader) -> bytes:
    """All that a client says until it waits for an answer; BYE's message when it leaves."""
    said = b""
    while True:
        one = await message(reader)
        said += one
        if one[:1] in _ASKING or one[:1] == BYE:
            return said


async def answer(reader: asyncio.StreamReader) -> bytes:
    """All that a server says until it is ready for the next request."""
    said = []
    while True:
        one = await message(reader)
        said.append(one)
        if one[:1] == b"Z":
            return b"".join(said)


async def greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The client's start-up message; encryption is declined."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!II", head)
        rest = await reader.readexactly(length - 8)
        if code not in (_SSL_REQUEST, _GSS_REQUEST):
            return head + rest
        writer.write(b"N")
        await writer.drain()


def parameters(startup: bytes) -> dict[str, str]:
    """What a start-up message asks for: user, database, options and so on."""
    words = startup[8:].split(b"\0")
    return {key.decode(): value.decode() for key, value in zip(words[0::2], words[1::2], strict=False)}


def statement(said: bytes) -> bytes:
    """The text of the statement in a request."""
    for one in messages(said):
        if one.kind == b"Q":
            return one.body.rstrip(b"\0")
        if one.kind == b"P":
            _name, text, _types = one.body.split(b"\0", 2)
            return text
    return b""


def types(stream: bytes) -> tuple[int, ...]:
    """The types, by oid, of the columns that an answer describes."""
    for one in messages(stream):
        if one.kind == b"T":
            return tuple(_described(one.body))
    return ()


def _described(body: bytes) -> Iterator[int]:
    at = 2
    for _ in range(int.from_bytes(body[:2])):
        at = body.index(b"\0", at) + 1
        yield int.from_bytes(body[at + 6 : at + 10])
        at += 18


def rows(stream: bytes) -> Iterator[tuple[Field | None, ...]]:
    """Where the values of each row of an answer stand; None is NULL."""
    for one in messages(stream):
        if one.kind == b"D":
            yield tuple(_values(one))


def _values(row: Message) -> Iterator[Field | None]:
    at = 2
    for _ in range(int.from_bytes(row.body[:2])):
        length = int.from_bytes(row.body[at : at + 4], signed=True)
        at += 4
        yield None if length < 0 else Field(row.start + at, length)
        at += max(0, length)


def refusal(sqlstate: str, text: str) -> bytes:
    """An error, and that the server is ready all the same."""
    body = b"SERROR\0VERROR\0C" + sqlstate.encode() + b"\0M" + text.encode() + b"\0\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body + _READY
