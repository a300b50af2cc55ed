"""Real servers for tests: a given one, throw-away ones of every installed version, or a container."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer
from tests.support import containers

GIVEN_DSN = "PGVIGIL_TEST_DSN"
MORE_BINDIRS = "PGVIGIL_TEST_BINDIRS"
NO_SERVER = (
    f"no PostgreSQL server for the tests: {binaries.HOW_TO_GET_ONE}; "
    f"or set {GIVEN_DSN} to a superuser's DSN of a server with pg_stat_statements preloaded; "
    "or start a container engine that testcontainers can use"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that tests share. `scratch` is None where it is not ours to stop."""

    name: str
    origin: str
    base_dsn: str
    version_num: int
    scratch: ScratchServer | None = None

    def dsn(self, dbname: str = "postgres", **parameters: Any) -> str:
        return make_conninfo(self.base_dsn, dbname=dbname, **parameters)

    def connect(self, dbname: str = "postgres", **parameters: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection in autocommit."""
        return psycopg.connect(self.dsn(dbname, **parameters), autocommit=True)


@dataclass(frozen=True, slots=True)
class Database:
    """A fresh database of one test. pg_stat_statements is preloaded, and not created."""

    name: str
    server: Server

    def dsn(self, **parameters: Any) -> str:
        return self.server.dsn(self.name, **parameters)

    def connect(self, **parameters: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection in autocommit."""
        return self.server.connect(self.name, **parameters)

    def execute(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run on a connection of its own; the rows, if the statement has any."""
        with self.connect() as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []


class Pool:
    """The servers of one session, each started when first asked for."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._running: dict[str, Server] = {}

    def get(self, name: str) -> Server:
        if name not in self._running:
            self._running[name] = self._open(name)
        return self._running[name]

    def close(self) -> None:
        self._stack.close()

    def _open(self, name: str) -> Server:
        if name == "given":
            return _described(name, "given by " + GIVEN_DSN, os.environ[GIVEN_DSN])
        if name == "container":
            dsn = self._stack.enter_context(containers.postgres(NO_SERVER))
            return _described(name, "container", dsn)
        installation = next(each for each in installations() if f"pg{each.major}" == name)
        started = self._stack.enter_context(ScratchServer.start(installation))
        return _described(name, str(installation.bindir), started.dsn(), started)


@cache
def installations() -> tuple[binaries.Binaries, ...]:
    """One installation per major version: those named in PGVIGIL_TEST_BINDIRS, then whatever is found.

    Looked for once: every parametrized test asks while tests are collected, and each look runs programs.
    """
    named = [Path(entry) for entry in os.environ.get(MORE_BINDIRS, "").split(os.pathsep) if entry]
    by_major: dict[int, binaries.Binaries] = {}
    for each in (*map(binaries.in_directory, named), *binaries.available()):
        by_major.setdefault(each.major, each)
    return tuple(by_major.values())


def names() -> tuple[str, ...]:
    """Every server that tests can have here, the shared one first: ids such as pg18, pg15, given, container."""
    if os.environ.get(GIVEN_DSN):
        return ("given",)
    return tuple(f"pg{each.major}" for each in installations()) or ("container",)


@contextmanager
def fresh_database(server: Server) -> Iterator[Database]:
    """A database of its own, dropped afterwards whoever is still connected."""
    database = Database(f"t_{uuid.uuid4().hex[:12]}", server)
    with server.connect() as connection:
        name = sql.Identifier(database.name)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        try:
            yield database
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


StartServer = Callable[..., ScratchServer]


@contextmanager
def server_starter() -> Iterator[StartServer]:
    """`start(major=None, **options)` gives a private server; all are closed at the end."""
    with ExitStack() as stack:

        def start(major: int | None = None, **options: Any) -> ScratchServer:
            found = [each for each in installations() if major in {None, each.major}]
            if not found:
                raise AssertionError(f"no PostgreSQL {major or ''} here; {binaries.HOW_TO_GET_ONE}")
            return stack.enter_context(ScratchServer.start(found[0], **options))

        yield start


def _described(name: str, origin: str, dsn: str, scratch: ScratchServer | None = None) -> Server:
    with psycopg.connect(dsn) as connection:
        return Server(name, origin, dsn, connection.info.server_version, scratch)
