"""Bytes that are no UTF-8 are read, with replacement characters, and keep nothing from being read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
import pytest
from psycopg import sql

from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.query import Column, Query, start_of
from pgvigil.postgres.session import Session, connect
from tests.support.servers import Database, Server


class Text(NamedTuple):
    text: str


RELATIONS = Query(
    name="test_relations",
    row=Text,
    columns=(Column("text", "relname"),),
    source="FROM pg_class WHERE relnamespace::regnamespace::text = 'public'",
)
ACTIVITY = Query(
    name="test_activity",
    row=Text,
    columns=(Column("text", "query"),),
    source="FROM pg_stat_activity WHERE application_name = 'hostile'",
)
CUT = Query(
    name="test_cut",
    row=Text,
    columns=(Column("text", start_of("%(text)s::text", 8)),),
    source="",
)
MISSING = Query(
    name="test_missing",
    row=Text,
    columns=(Column("text", "1"),),
    source='FROM public."na\N{REPLACEMENT CHARACTER}me"',
)


@contextmanager
def encoded_database(server: Server, encoding: str) -> Iterator[Server]:
    """A database of that encoding, in the C locale; yields its name."""
    name = f"enc_{encoding.lower()}"
    with server.connect() as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'").format(
                sql.Identifier(name), encoding
            )
        )
        try:
            yield Database(name, server)
        finally:
            _forget_statements(Database(name, server))
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _forget_statements(database: Database) -> None:
    """Their texts would stay, and no other test of the shared server could read any text."""
    database.execute("CREATE EXTENSION pg_stat_statements")
    database.execute(
        "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = current_database()"
    )


def open_session(database: Database) -> Session:
    return connect(Dsn.parse(database.dsn()))


def test_a_name_with_any_bytes_in_a_sql_ascii_database_is_read(each_server: Server) -> None:
    with encoded_database(each_server, "SQL_ASCII") as database:
        with database.connect(client_encoding="SQL_ASCII") as admin:
            admin.execute(b'CREATE TABLE public."na\xffme" ()')
        session = open_session(database)
        assert session.rows(RELATIONS) == (("na\N{REPLACEMENT CHARACTER}me",),)
        with pytest.raises(ReadError, match="does not exist"):
            session.rows(MISSING)
        session.close()


@pytest.mark.parametrize("ours", ["UTF8", "EUC_JP", "WIN1252"])
def test_a_session_of_another_encoding_does_not_poison_the_activity_view(
    each_server: Server, ours: str
) -> None:
    """The bytes E9 81 come from a LATIN1 database and mean nothing in any of our encodings."""
    with (
        encoded_database(each_server, "LATIN1") as theirs,
        encoded_database(each_server, ours) as watched,
        psycopg.connect(theirs.dsn(application_name="hostile", client_encoding="LATIN1")) as victim,
    ):
        victim.execute(b"SELECT 'caf\xe9 \x81\xff'")
        session = open_session(watched)
        (text,) = session.rows(ACTIVITY)[0]
        session.close()
    assert text.startswith("SELECT 'caf")


def test_a_latin1_database_is_read_in_its_own_letters(each_server: Server) -> None:
    with encoded_database(each_server, "LATIN1") as database:
        database.execute('CREATE TABLE public."café" ()')
        session = open_session(database)
        assert session.rows(RELATIONS) == (("café",),)
        session.close()


def test_a_text_that_is_cut_ends_with_a_whole_character(each_server: Server) -> None:
    with encoded_database(each_server, "UTF8") as database:
        session = open_session(database)
        assert session.rows(CUT, {"text": "ab🐘🐘"}) == (("ab🐘",),)
        assert session.rows(CUT, {"text": "ab🐘éx"}) == (("ab🐘é",),)
        session.close()
