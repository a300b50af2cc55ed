"""Runs statements on one connection: under a deadline on both sides, and with every error classified."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import psycopg
from psycopg import Cursor
from psycopg.pq import TransactionStatus

from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.connecting import MonitorConnection, python_encoding, session_settings
from pgvigil.postgres.deadlines import Limit, limit
from pgvigil.postgres.errors import ReadError, classify
from pgvigil.postgres.limits import Limits

T = TypeVar("T")
AnyCursor = Cursor[tuple[Any, ...]]
Parameters = Mapping[str, Any] | None

# UTF8 is what we ask for anyway; the others have no codec in Python.
_LEAVE_AS_UTF8 = frozenset({"UTF8", "EUC_TW", "MULE_INTERNAL"})

# After these nobody can tell what the next bytes of the stream belong to.
_OUT_OF_STEP = frozenset({FailureKind.LOST, FailureKind.PROTOCOL})

_SET_ENCODING = "SELECT /* pgvigil:session */ set_config('client_encoding', %(encoding)s, false)"
_SET_TIMEOUT = b"SELECT /* pgvigil:session */ set_config('statement_timeout', %(timeout)s, false)"


class Channel:
    """One caller at a time; `interrupt` and `close` after it are the only calls for another thread.

    `settings_in_force` False means a pooler stands between: each statement then brings its settings in a
    transaction of its own, so that none of them leaks to the pooler's other clients.
    """

    def __init__(self, connection: MonitorConnection, limits: Limits, *, settings_in_force: bool) -> None:
        self._connection = connection
        self._limits = limits
        self._guard: Limit | None = None
        self._timeout_ms = round(limits.statement_s * 1000)
        self._settings_in_force = True
        if not settings_in_force:
            self.bring_settings_along()

    @property
    def closed(self) -> bool:
        """Also after a failure that makes the connection useless: it has been given up."""
        return self._connection.closed

    @property
    def backend_pid(self) -> int:
        return self._connection.pgconn.backend_pid

    @property
    def address(self) -> dict[str, str]:
        """The parameters of the one address that answered; without secrets."""
        info = self._connection.info
        where = {"host": info.host, "hostaddr": info.hostaddr, "port": str(info.port)}
        return {**info.get_parameters(), **where}

    def ask(
        self,
        text: str,
        parameters: Parameters,
        timeout_s: float,
        take: Callable[[AnyCursor], T],
        *,
        columns: Sequence[str] | None = None,
    ) -> T:
        """What `take` makes of the answer. A text without parameters may contain `%`. Raises ReadError.

        `columns` are the names that the answer must have. An answer to another question means that the stream is
        out of step, and every later one would be the answer before: the connection is given up.
        """
        if self.closed:
            raise ReadError(Failure(FailureKind.LOST, "the connection was given up after an earlier failure"))
        within_s = timeout_s + self._limits.margin_s
        with self._limited(within_s) as guard:
            self._guard = guard
            try:
                statement = text.encode(python_encoding(self._connection))
                cursor = self._run(statement, parameters or None, round(timeout_s * 1000))
                self._refuse_other_answers(cursor, columns)
                return take(cursor)
            except psycopg.Error as error:
                guard.end()
                raise ReadError(self._given_up(self._failure(error, guard, within_s))) from None
            finally:
                self._guard = None
                guard.end()
                if guard.expired or self.closed:
                    self.close()

    def _refuse_other_answers(self, cursor: AnyCursor, columns: Sequence[str] | None) -> None:
        described = cursor.description
        names = None if described is None else [column.name for column in described]
        if names is None or (columns is not None and names != list(columns)):
            raise ReadError(
                self._given_up(Failure(FailureKind.PROTOCOL, "the answer belongs to another question"))
            )

    def _given_up(self, failure: Failure) -> Failure:
        """Closes a connection that can be of no more use: nothing of it is idle, or in step."""
        idle = self._connection.info.transaction_status is TransactionStatus.IDLE
        if failure.kind in _OUT_OF_STEP or not idle:
            self.close()
        return failure

    def avoid_conversion(self, timeout_s: float) -> None:
        """Has text sent as the server stores it, because its conversion fails on the first byte it cannot place.

        A view of the whole server shows texts in the encodings of all its databases, and SQL_ASCII holds any
        bytes; one such text would otherwise keep us from reading the view at all.
        """
        encoding = self._connection.info.parameter_status("server_encoding") or "UTF8"
        if encoding not in _LEAVE_AS_UTF8:
            self.ask(_SET_ENCODING, {"encoding": encoding}, timeout_s, lambda _cursor: None)

    def bring_settings_along(self) -> None:
        """From now on each statement brings its settings in its own transaction (see the class)."""
        self._settings_in_force = False
        self._connection.read_only = True  # of the transactions that psycopg begins

    def interrupt(self) -> None:
        """Ends a call that is running in another thread, now: it fails as silent."""
        guard = self._guard
        if guard is not None:
            guard.cut()

    def close(self) -> None:
        self._connection.close()
        self._connection.pgconn.finish()  # psycopg leaves a broken connection to the garbage collector

    def leave(self) -> None:
        """Closes, and waits a moment until the server has done so too: only then has its slot become free."""
        descriptor = None if self.closed else _copy(self._connection.pgconn.socket)
        self.close()
        if descriptor is not None:
            _await_end(descriptor, self._limits.leave_s)

    def _failure(self, error: psycopg.Error, guard: Limit, within_s: float) -> Failure:
        if guard.expired:
            return Failure(FailureKind.SILENT, f"no answer within {within_s:g}s; the connection was given up")
        return self._classified(error)

    def _classified(self, error: psycopg.Error) -> Failure:
        return classify(error)

    def _limited(self, within_s: float) -> AbstractContextManager[Limit]:
        try:
            return limit(self._connection.pgconn.socket, within_s)
        except OSError as error:  # we are out of descriptors
            raise ReadError(classify(error)) from None

    def _run(self, text: bytes, parameters: Parameters, timeout_ms: int) -> AnyCursor:
        cursor = self._connection.cursor(binary=True)
        if self._settings_in_force:
            if timeout_ms != self._timeout_ms:
                cursor.execute(_SET_TIMEOUT, {"timeout": str(timeout_ms)})
                self._timeout_ms = timeout_ms
            return cursor.execute(text, parameters)
        with self._connection.transaction():
            settings = session_settings(self._limits) | {"statement_timeout": str(timeout_ms)}
            cursor.execute(_set_locally(settings), settings)
            return cursor.execute(text, parameters)


def _copy(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # out of descriptors, or the connection broke unnoticed: nothing to wait on
        return None


def _await_end(descriptor: int, within_s: float) -> None:
    """Reads until the peer has closed."""
    deadline_s = time.monotonic() + within_s
    with (
        socket.socket(fileno=descriptor) as end,
        contextlib.suppress(OSError),
    ):  # a time-out, or reset: as good
        while (left_s := deadline_s - time.monotonic()) > 0:
            end.settimeout(left_s)
            if not end.recv(4096):
                return


def _set_locally(settings: Mapping[str, str]) -> bytes:
    calls = ", ".join(f"set_config('{name}', %({name})s, true)" for name in settings)
    return f"SELECT /* pgvigil:session */ {calls}".encode()
