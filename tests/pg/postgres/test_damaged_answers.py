"""Whatever comes in between in the stream of answers: none is taken for the answer to another question."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from pgvigil.model.failure import FailureKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.limits import Limits
from pgvigil.postgres.query import Column, Query
from pgvigil.postgres.session import Session, connect
from tests.support.proxy import Proxy, Then, Toxic, proxied
from tests.support.servers import Server

QUICK = Limits(connect_s=1, connect_total_s=1, statement_s=0.5, margin_s=0.3)


class One(NamedTuple):
    one: int


class Other(NamedTuple):
    other: int


class Wide(NamedTuple):
    wide: int
    wider: int


ONE = Query(name="test_one", row=One, columns=(Column("one", "1"),), source="")
OTHER = Query(name="test_other", row=Other, columns=(Column("other", "2"),), source="")
WIDE = Query(name="test_wide", row=Wide, columns=(Column("wide", "3"), Column("wider", "4")), source="")
QUERIES = {ONE: (One(1),), OTHER: (Other(2),), WIDE: (Wide(3, 4),)}


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


READY = message(b"Z", b"I")
DAMAGE = {
    "ready": READY,
    "complete": message(b"C", b"SELECT 1\0"),
    "complete and ready": message(b"C", b"SELECT 1\0") + READY,
    "empty": message(b"I", b""),
    "no columns": message(b"T", b"\0\0") + message(b"C", b"SELECT 0\0") + READY,
    "a row of nothing": message(b"D", b"\0\1\0\0\0\4abcd"),
    "copy out": message(b"H", b"\0\0\0"),
    "copy in": message(b"G", b"\0\0\0"),
    "copy both": message(b"W", b"\0\0\0"),
    "an error": message(b"E", b"SERROR\0C42703\0Mwrong\0\0") + READY,
    "another encoding": message(b"S", b"client_encoding\0NO_SUCH\0"),
    "a gigabyte to come": b"D\x3f\xff\xff\xff",
    "a web page": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "ones": b"\xff" * 64,
    "zeros": b"\0" * 64,
}


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxied(int(Dsn.parse(server.dsn()).parameters()["port"])) as running:
        yield running


def through(proxy: Proxy, server: Server) -> Session:
    return connect(Dsn.parse(server.dsn(host="127.0.0.1", port=proxy.port)), limits=QUICK)


def asked(session: Session) -> list[FailureKind]:
    """Every query thrice, until the connection is given up; what is answered is the answer to it."""
    failures = []
    for query, rows in [*QUERIES.items()] * 3:
        try:
            assert session.rows(query) == rows
        except ReadError as error:
            failures.append(error.failure.kind)
        if session.broken:
            break
    return failures


@pytest.mark.parametrize("passing", [0, 5, 40])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_stream_is_never_believed_and_given_up(
    proxy: Proxy, server: Server, damage: bytes, passing: int
) -> None:
    """At the start of an answer, between two of its messages, and in the middle of one."""
    session = through(proxy, server)
    proxy.down = Toxic(after=passing, then=Then.GARBAGE, garbage=damage)
    failures = asked(session)
    broken = session.broken
    session.close()
    if damage == DAMAGE["an error"] and not broken:  # what the server says next is in step
        assert failures == [FailureKind.UNDEFINED]
    else:
        assert broken
        assert failures[-1] in {FailureKind.PROTOCOL, FailureKind.LOST, FailureKind.SILENT}


@pytest.mark.parametrize("passing", [0, 1, 5, 60])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_no_session_begins_on_a_damaged_stream(
    proxy: Proxy, server: Server, damage: bytes, passing: int
) -> None:
    """Or it is one that works: some of these may be said at that point."""
    proxy.down = Toxic(after=passing, then=Then.GARBAGE, garbage=damage)
    kind = None
    try:
        session = through(proxy, server)
    except ReadError as error:
        kind = error.failure.kind
    else:
        asked(session)
        session.close()
    assert kind is None or kind is FailureKind.UNDEFINED or kind.means_down
