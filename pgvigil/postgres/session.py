"""One session on one database: what collectors read through."""

import contextlib
from collections.abc import Iterator
from typing import Any

from pgvigil.model.certificate import Certificate
from pgvigil.model.facts import Facts
from pgvigil.model.kind import TargetKind
from pgvigil.postgres import certificates, console
from pgvigil.postgres import facts as facts_module
from pgvigil.postgres.channel import Channel, Parameters
from pgvigil.postgres.connecting import open_connection
from pgvigil.postgres.databases import DATABASES, Database
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.frames import Frame, decode
from pgvigil.postgres.limits import LIMITS, Limits
from pgvigil.postgres.query import Query, Show


class Session:
    """The `Reader` of plugins.py, for one thread at a time. Every read raises ReadError when it fails.

    After a failure that says nothing good of the connection `broken` is True: connect anew.
    """

    def __init__(self, channel: Channel, limits: Limits) -> None:
        self._channel = channel
        self._limits = limits
        self._timeout_s = limits.statement_s
        self._facts = self._discover()

    def _discover(self, *, anew: bool = False) -> Facts:
        return facts_module.discover(self._channel, self._limits.statement_s, anew=anew)

    @property
    def facts(self) -> Facts:
        return self._facts

    @property
    def database(self) -> str:
        return self._facts.database

    @property
    def backend_pid(self) -> int:
        """Of the server process that answers us; behind a pooler it is the pooler's number."""
        return self._channel.backend_pid

    @property
    def broken(self) -> bool:
        return self._channel.closed

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator["Session"]:
        """Reads inside the block have this long each; the server ends them with statement_timeout."""
        before, self._timeout_s = self._timeout_s, seconds
        try:
            yield self
        finally:
            self._timeout_s = before

    def rows(self, query: Query[Any], parameters: Parameters = None) -> tuple[Any, ...]:
        """All rows, typed as the query's row class. Text that is not UTF-8 has replacement characters."""
        make = query.row._make
        text = query.text(self._facts)
        return self._channel.ask(
            text,
            parameters,
            self._timeout_s,
            lambda cursor: tuple(map(make, cursor.fetchall())),
            columns=query.column_names,
        )

    def frame(self, query: Query[Any], parameters: Parameters = None) -> Frame:
        """The rows as numpy columns. Raises FrameError for a query that gives NULL or text."""
        names = query.column_names
        text = query.frame_text(self._facts)
        result = self._channel.ask(
            text, parameters, self._timeout_s, lambda cursor: cursor.pgresult, columns=names
        )
        assert result is not None  # noqa: S101 - psycopg's type allows for a cursor that ran nothing
        return decode(result, names)

    def certificate(self) -> Certificate | None:
        """What the server shows to whoever connects with TLS; None where it offers none. Asked on a connection of its
        own, which ends before a login, within the time of a read.
        """
        return certificates.of_server(self._channel.address, self._timeout_s)

    def rediscover(self) -> Facts:
        """Asks for the facts again, as after an undefined column: an extension may have been updated."""
        self._facts = self._discover(anew=True)
        return self._facts

    def interrupt(self) -> None:
        """From another thread: ends the read that is running, now, and the connection with it."""
        self._channel.interrupt()

    def close(self) -> None:
        self._channel.close()

    def leave(self) -> None:
        """Close, and wait until the server has let go: for who connects again at once."""
        self._channel.leave()


class ConsoleSession(Session):
    """A session with the admin console of a PgBouncer, which answers to `Show` and to no other query."""

    def __init__(self, channel: console.ConsoleChannel, limits: Limits, role: str) -> None:
        self._console = channel
        self._role = role
        super().__init__(channel, limits)

    def _discover(self, *, anew: bool = False) -> Facts:  # noqa: ARG002 - there is nothing that it would keep
        return console.discover(self._console, self._role, self._limits.statement_s)

    def rows(self, query: Query[Any], parameters: Parameters = None) -> tuple[Any, ...]:
        """All rows; None for what this version does not tell. Raises TypeError for a query in SQL."""
        if not isinstance(query, Show) or parameters:
            raise TypeError(f"{query.name}: a console knows no SQL and no parameters")
        return self._console.show(query, self._timeout_s)

    def frame(self, query: Query[Any], parameters: Parameters = None) -> Frame:  # noqa: ARG002 - see there
        raise TypeError(f"{query.name}: a console knows no arrays")


def connect(
    dsn: Dsn,
    *,
    kind: TargetKind = TargetKind.POSTGRES,
    limits: Limits = LIMITS,
    application_name: str = "pgvigil",
    database: str | None = None,
) -> Session:
    """A session under every limit, its facts known. Raises ReadError."""
    if kind is TargetKind.PGBOUNCER:
        return _connect_console(dsn, limits, application_name)
    chosen = dsn if database is None else dsn.with_database(database)
    connection, settings_in_force = open_connection(chosen, limits, application_name)
    channel = Channel(connection, limits, settings_in_force=settings_in_force)
    try:
        console.refuse(connection.info.parameter_status("server_version") or "")
        channel.avoid_conversion(limits.statement_s)
        session = Session(channel, limits)
    except BaseException:
        channel.close()
        raise
    if session.facts.settings.get("default_transaction_read_only") != "on":
        channel.bring_settings_along()  # a pooler took our options and dropped them
    return session


def _connect_console(dsn: Dsn, limits: Limits, application_name: str) -> ConsoleSession:
    chosen = dsn.with_database(console.DATABASE)
    connection, _ = open_connection(chosen, limits, application_name, console=True)
    channel = console.ConsoleChannel(connection, limits, settings_in_force=True)
    try:
        return ConsoleSession(channel, limits, connection.info.user)
    except BaseException:
        channel.close()
        raise


def list_databases(session: Session) -> tuple[Database, ...]:
    """All databases of the server, those that cannot be read included; a pooler has none. Raises ReadError."""
    return () if isinstance(session, ConsoleSession) else session.rows(DATABASES)
