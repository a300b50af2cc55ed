"""Makes connections: every address within its deadline, every setting in force from the first statement."""

import select
import time
from codecs import getincrementaldecoder
from dataclasses import replace
from typing import Any

from psycopg import BaseConnection, Connection, pq
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.conninfo import make_conninfo
from psycopg.postgres import adapters as default_adapters

from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres import certificates, resolve
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError, classify_connect, our_want, safe_text
from pgvigil.postgres.limits import Limits
from pgvigil.postgres.passwords import PasswordError


def python_encoding(connection: BaseConnection[Any] | None) -> str:
    """The codec of the connection's text; UTF-8 where the server knows of no encoding (SQL_ASCII)."""
    encoding = connection.info.encoding if connection else "ascii"
    return "utf-8" if encoding == "ascii" else encoding


class _LenientText(Loader):
    """Text in the connection's encoding, replacement characters for what is not.

    A SQL_ASCII database stores any bytes, and shared views show texts of databases with other encodings.
    """

    format = pq.Format.BINARY

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._encoding = python_encoding(self.connection)

    def load(self, data: Buffer) -> str:
        return str(data, self._encoding, "replace")


class _StartOfText(_LenientText):
    """The first bytes of a text (`query.start_of`); a character that was cut in two is left out.

    No query of ours gives bytes for anything else.
    """

    def load(self, data: Buffer) -> str:
        return getincrementaldecoder(self._encoding)("replace").decode(bytes(data))


def _adapters() -> AdaptersMap:
    adapters = AdaptersMap(default_adapters)
    for oid in (18, 19, 25, 705, 1042, 1043):  # "char", name, text, unknown, bpchar, varchar
        adapters.register_loader(oid, _LenientText)
    adapters.register_loader(17, _StartOfText)  # bytea
    return adapters


_ADAPTERS = _adapters()


class MonitorConnection(Connection[tuple[object, ...]]):
    """Differs from psycopg's in how it reads text. All share one adapters map."""

    @property
    def adapters(self) -> AdaptersMap:
        return _ADAPTERS


def session_settings(limits: Limits) -> dict[str, str]:
    """What holds for everything we run: read-only, bounded, and independent of the role's own settings."""
    return {
        "statement_timeout": str(round(limits.statement_s * 1000)),
        "lock_timeout": str(limits.lock_ms),
        "idle_in_transaction_session_timeout": str(round(limits.idle_in_transaction_s * 1000)),
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "read committed",  # serializable fails on a standby
        "search_path": "pg_catalog, pg_temp",  # nobody's function or operator shadows a built-in one
        "work_mem": limits.work_mem,
        "jit": "off",  # compiles for longer than our queries run
        "max_parallel_workers_per_gather": "0",  # workers belong to the applications
        "TimeZone": "UTC",
    }


def open_connection(
    dsn: Dsn, limits: Limits, application_name: str, *, console: bool = False
) -> tuple[MonitorConnection, bool]:
    """A connection, and whether the session settings are in force on it (a pooler may refuse them).

    A pooler's `console` has no settings, and no role to be asked for. Raises ReadError with the failure of the
    address that tells most.
    """
    parameters = _parameters(dsn, limits, application_name)
    if console:
        parameters.pop("options")
        parameters["target_session_attrs"] = "any"
    secrets = (*dsn.secrets(), parameters.get("password", ""))
    candidates = resolve.attempts(parameters, limits.resolve_s)
    each_s = min(limits.connect_s, limits.connect_total_s / len(candidates))
    failures: list[Failure] = []
    for candidate in candidates:
        try:
            return _open_address(candidate, each_s, secrets)
        except ReadError as error:
            failures.append(error.failure)
            if error.failure.kind is FailureKind.AUTHENTICATION:
                break  # as libpq does: the same password is not tried on every host
    raise ReadError(_most_telling(failures))


def _parameters(dsn: Dsn, limits: Limits, application_name: str) -> dict[str, str]:
    parameters = dsn.parameters()
    if dsn.password is not None:
        try:
            parameters["password"] = dsn.password()
        except PasswordError as error:
            failure = our_want() or Failure(FailureKind.AUTHENTICATION, safe_text(str(error)))
            raise ReadError(failure) from None
    kept_alive = {
        "keepalives_idle": str(limits.keepalives_idle_s),
        "keepalives_interval": str(limits.keepalives_interval_s),
        "keepalives_count": str(limits.keepalives_count),
        "tcp_user_timeout": str(limits.tcp_user_timeout_ms),
        "gssencmode": "disable",  # asking a ticket server would block inside libpq
    }
    ours = {
        "application_name": application_name,
        "client_encoding": "UTF8",
        "options": f"{parameters.get('options', '')} {_options(limits)}".strip(),
    }
    return {**kept_alive, **parameters, **ours}


def _server_keepalives(limits: Limits) -> dict[str, str]:
    """The server's own test of us: after a network failure that kept our farewell from it, it would otherwise keep
    our session, and its slot, for two hours, or 15 minutes if an answer is under way (the kernel's defaults).
    Without effect on a local socket.
    """
    return {
        "tcp_keepalives_idle": str(limits.keepalives_idle_s),
        "tcp_keepalives_interval": str(limits.keepalives_interval_s),
        "tcp_keepalives_count": str(limits.keepalives_count),
        "tcp_user_timeout": str(limits.tcp_user_timeout_ms),
    }


def _options(limits: Limits) -> str:
    pairs = {**session_settings(limits), **_server_keepalives(limits)}.items()
    return " ".join(f"-c {name}=" + value.replace("\\", "\\\\").replace(" ", "\\ ") for name, value in pairs)


def _open_address(
    candidate: dict[str, str], timeout_s: float, secrets: tuple[str, ...]
) -> tuple[MonitorConnection, bool]:
    where = _where(candidate)
    deadline_s = time.monotonic() + timeout_s
    try:
        return _with_settings_if_allowed(candidate, deadline_s)
    except _NoSocketError:
        want = Failure(FailureKind.RESOURCES, "pgvigil itself lacks what it needs: libpq got no socket")
        raise ReadError(our_want() or want) from None
    except _RefusedByLibpqError as error:
        failure = our_want() or classify_connect(str(error), where, secrets)
        if failure.kind is FailureKind.TLS and "certificate" in failure.message:
            because = certificates.reason(candidate, max(0.1, deadline_s - time.monotonic()))
            failure = replace(failure, message=safe_text(f"{failure.message}; {because}".rstrip("; ")))
        raise ReadError(failure) from None
    except TimeoutError:
        raise ReadError(Failure(FailureKind.SILENT, f"{where}: no answer within {timeout_s:g}s")) from None


def _with_settings_if_allowed(candidate: dict[str, str], deadline_s: float) -> tuple[MonitorConnection, bool]:
    try:
        return _wrap(_handshake(candidate, deadline_s)), True
    except _RefusedByLibpqError as error:
        if "unsupported startup parameter" not in str(error).lower():  # PgBouncer's words
            raise
    plain = {key: value for key, value in candidate.items() if key != "options"}
    return _wrap(_handshake(plain, deadline_s)), False


class _RefusedByLibpqError(Exception):
    """libpq's own text; not safe to show."""


class _NoSocketError(Exception):
    """libpq gave up before it had asked anybody, and without a word: so it does when this process has no descriptor
    left, also if another thread has freed one since.
    """


def _handshake(parameters: dict[str, str], deadline_s: float) -> pq.abc.PGconn:
    pgconn = pq.PGconn.connect_start(make_conninfo("", **parameters).encode())
    try:
        _has_socket(pgconn)
        _complete(pgconn, deadline_s)
        pgconn.nonblocking = 1  # what psycopg's own loops expect
    except BaseException:
        pgconn.finish()
        raise
    return pgconn


def _has_socket(pgconn: pq.abc.PGconn) -> None:
    if pgconn.status == pq.ConnStatus.BAD and not pgconn.error_message.strip():
        raise _NoSocketError


def _complete(pgconn: pq.abc.PGconn, deadline_s: float) -> None:
    """Drives libpq's state machine, never waiting past the deadline. Raises TimeoutError."""
    status = pq.PollingStatus.WRITING  # libpq's rule for the first turn
    while status is not pq.PollingStatus.OK:
        if pgconn.status == pq.ConnStatus.BAD or status == pq.PollingStatus.FAILED:
            raise _RefusedByLibpqError(pgconn.error_message.decode("utf-8", "replace"))
        _wait(pgconn.socket, status, deadline_s)
        status = pq.PollingStatus(pgconn.connect_poll())


def _wait(descriptor: int, status: pq.PollingStatus, deadline_s: float) -> None:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN if status == pq.PollingStatus.READING else select.POLLOUT)
    left_ms = (deadline_s - time.monotonic()) * 1000
    if left_ms <= 0 or not poller.poll(left_ms):
        raise TimeoutError


def _wrap(pgconn: pq.abc.PGconn) -> MonitorConnection:
    connection = MonitorConnection(pgconn)
    connection.autocommit = True
    connection.prepare_threshold = None  # our plans would stay in the server's memory, and break in poolers
    return connection


def _where(parameters: dict[str, str]) -> str:
    host, address = parameters.get("host", ""), parameters.get("hostaddr", "")
    port = parameters.get("port", "5432")
    if address and host and host != address:
        return f"{host} [{address}]:{port}"
    return f"{address or host or 'local socket'}:{port}"


def _most_telling(failures: list[Failure]) -> Failure:
    """What a server said is worth more than silence; otherwise the last address speaks for all."""
    mute = {FailureKind.REFUSED, FailureKind.SILENT, FailureKind.LOST}
    return next((failure for failure in failures if failure.kind not in mute), failures[-1])
