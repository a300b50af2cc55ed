"""What went wrong, in the closed list of classes that people and rules act on."""

import errno
import re
import socket
from collections.abc import Iterable

import psycopg

from pgvigil.model.failure import Failure, FailureKind

_WANTS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_MESSAGE_LIMIT = 300  # characters: one line of a log or a message

_BY_SQLSTATE = {
    "0A000": FailureKind.MISSING,  # feature not supported: as Aurora answers for functions of WAL
    "25P03": FailureKind.LOST,  # idle_in_transaction_session_timeout ended us
    "25P04": FailureKind.TIMEOUT,  # transaction_timeout (17+)
    "3D000": FailureKind.NO_DATABASE,
    "3F000": FailureKind.UNDEFINED,
    "42501": FailureKind.PRIVILEGE,
    "42703": FailureKind.UNDEFINED,
    "42704": FailureKind.UNDEFINED,
    "42883": FailureKind.UNDEFINED,
    "42P01": FailureKind.UNDEFINED,
    "53300": FailureKind.TOO_MANY_CONNECTIONS,
    "55000": FailureKind.MISSING,  # "pg_stat_statements must be loaded via shared_preload_libraries"
    "55P03": FailureKind.LOCK_TIMEOUT,
    "57014": FailureKind.TIMEOUT,
    "57P01": FailureKind.SHUTTING_DOWN,
    "57P02": FailureKind.LOST,  # another backend crashed
    "57P03": FailureKind.STARTING_UP,
    "57P04": FailureKind.NO_DATABASE,  # dropped under us
    "57P05": FailureKind.LOST,  # idle_session_timeout ended us
    "58P01": FailureKind.MISSING,  # an extension's library is not on the server
}
_BY_CLASS = {
    "08": FailureKind.LOST,
    "28": FailureKind.AUTHENTICATION,
}

# libpq gives no SQLSTATE for a connection that was never made, so the text decides. Earlier kinds win.
_BY_TEXT = {
    FailureKind.RESOURCES: (r"Too many open files|Cannot allocate memory|No buffer space available",),
    FailureKind.SHUTTING_DOWN: (
        r"system is shutting down",
        r"terminating connection due to administrator",
    ),
    FailureKind.STARTING_UP: (
        r"system is starting up",
        r"in recovery mode",
        r"system is not (yet )?accepting connections",
    ),
    FailureKind.TOO_MANY_CONNECTIONS: (
        r"too many (clients|connections)",
        r"remaining connection slots",
        r"no more connections allowed",  # PgBouncer
    ),
    FailureKind.NO_DATABASE: (
        r"database .*does not exist",
        r"not currently accepting connections",
        r"no such database",  # PgBouncer
    ),
    FailureKind.PRIVILEGE: (r"permission denied for",),
    FailureKind.AUTHENTICATION: (
        r"authentication failed",
        r"no password supplied",
        r"pg_hba\.conf",
        r"role .*does not exist",
        r"not permitted to log in",
        r"no such user",  # PgBouncer
        r"FATAL:\s+not allowed",  # PgBouncer, to who is in neither admin_users nor stats_users
        r"authentication method",
        r"certificate authentication",
        r"valid client certificate",
        r"SASL|SCRAM|GSSAPI|channel binding",
    ),
    FailureKind.PROTOCOL: (
        r"received invalid response to (SSL|GSSAPI) negotiation",
        r"received unencrypted data after (SSL|GSSAPI)",
        r"expected authentication request from server",
        r"message contents do not agree with length",
        r"lost synchronization with server",
        r"invalid message length|unexpected message from server|unexpected response from server",
        r"(insufficient|extraneous) data in .* message|unexpected field count",
        r"without prior row description",
        r"got no result from the query",
        r"another command is already in progress",
        r"COPY cannot be used",
        r"codec not available",  # an encoding that nobody asked for
        r"protocol error",
    ),
    FailureKind.DNS: (r"could not translate host name", r"could not parse network address"),
    FailureKind.LOST: (
        r"server closed the connection",
        r"connection has been closed",
        r"Connection reset",
        r"EOF detected|unexpected eof",
        r"Broken pipe",
    ),
    FailureKind.SILENT: (
        r"timed out|timeout expired",
        r"No route to host",
        r"Network is unreachable",
        r"Host is down",
    ),
    FailureKind.TLS: (r"\b(SSL|TLS)\b", r"certificate", r"private key file"),
    FailureKind.REFUSED: (r"Connection refused", r"No such file or directory"),
}
_TEXTS = tuple((re.compile("|".join(patterns), re.IGNORECASE), kind) for kind, patterns in _BY_TEXT.items())

_PREFIX = re.compile(
    r"^(?:connection is bad: |connection failed: )?connection to server (?:at|on) .*? failed: "
)
_QUOTED = re.compile(r'".*"', re.DOTALL)
_QUOTES_VALUES = frozenset({"22", "23"})  # data exceptions, violated constraints
_SEVERITY = re.compile(r"^(?:FATAL|ERROR|PANIC):\s+")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


class ReadError(Exception):
    """Raised for everything that keeps a query from being answered. `str()` is safe to show."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def safe_text(text: str, secrets: Iterable[str] = ()) -> str:
    """One line without control and bidirectional characters and without the secrets, cut to a length."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    line = " ".join(_UNSAFE.sub(" ", text).split())
    return line if len(line) <= _MESSAGE_LIMIT else line[: _MESSAGE_LIMIT - 3] + "..."


def classify(error: BaseException, secrets: Iterable[str] = ()) -> Failure:
    """The class of an error that a statement ended with. Only the primary message is used: DETAIL holds values."""
    if _is_want(error):
        words = error.strerror if isinstance(error, OSError) else str(error)
        return Failure(FailureKind.RESOURCES, safe_text(f"pgvigil itself lacks what it needs: {words}"))
    if not isinstance(error, psycopg.Error):
        return Failure(FailureKind.BUG, safe_text(f"{type(error).__name__}: {error}", secrets))
    message = safe_text(_primary(error), secrets)
    if error.sqlstate is not None:
        return Failure(_kind_of_state(error.sqlstate, message), message, error.sqlstate)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        kind = _kind_of_text(message, otherwise=FailureKind.LOST)
        return Failure(kind, message)
    if isinstance(error, psycopg.ProgrammingError):
        # Raised by the client, most often because the query does not fit its parameters.
        return Failure(_kind_of_text(message, otherwise=FailureKind.BUG), message)
    return Failure(_kind_of_text(message, otherwise=FailureKind.SQL), message)


def our_want() -> Failure | None:
    """What this process lacks right now. Out of descriptors libpq fails with an empty text, and a resolver or a
    password file with words of its own: the server must not be blamed for it.
    """
    try:
        socket.socket().close()
    except OSError as error:
        return classify(error)
    return None


def _is_want(error: BaseException) -> bool:
    no_thread = isinstance(error, RuntimeError) and "new thread" in str(error)
    return (
        no_thread or isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _WANTS)
    )


def _primary(error: psycopg.Error) -> str:
    """Without the values that some classes of errors quote."""
    text = error.diag.message_primary or _first_line(str(error))
    state_class = (error.sqlstate or "")[:2]
    if state_class == "P0":
        return "a function in the database raised an error of its own"
    return _QUOTED.sub('"..."', text) if state_class in _QUOTES_VALUES else text


def classify_connect(text: str, where: str, secrets: Iterable[str] = ()) -> Failure:
    """The class of libpq's message for a connection that could not be made to `where` (address and port)."""
    line = _SEVERITY.sub("", _PREFIX.sub("", _first_line(text)))
    kind = _kind_of_text(_PREFIX.sub("", text), otherwise=FailureKind.REFUSED)
    return Failure(kind, safe_text(f"{where}: {line}", secrets))


def _kind_of_state(sqlstate: str, message: str) -> FailureKind:
    if sqlstate == "57P03" and "shutting down" in message:
        return FailureKind.SHUTTING_DOWN
    return _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2], FailureKind.SQL)


def _kind_of_text(text: str, *, otherwise: FailureKind) -> FailureKind:
    return next((kind for pattern, kind in _TEXTS if pattern.search(text)), otherwise)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
