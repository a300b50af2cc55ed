"""Every text and state that libpq and servers use is put in its class."""

import psycopg
import pytest

from pgvigil.model.failure import FailureKind
from pgvigil.postgres.errors import classify, classify_connect, safe_text

AT = 'connection to server at "db1" (10.0.0.1), port 5432 failed: '

CONNECT_TEXTS = [
    (AT + "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?", "refused"),
    ('connection to server on socket "/run/.s.PGSQL.5432" failed: No such file or directory', "refused"),
    ('connection to server on socket "/run/.s.PGSQL.5432" failed: Permission denied', "refused"),
    (AT + "FATAL:  the database system is starting up", "starting_up"),
    (AT + "FATAL:  the database system is in recovery mode", "starting_up"),
    (AT + "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent", "starting_up"),
    (AT + "FATAL:  the database system is not accepting connections\nDETAIL:  Hot standby", "starting_up"),
    (AT + "FATAL:  the database system is shutting down", "shutting_down"),
    (AT + "FATAL:  sorry, too many clients already", "too_many_connections"),
    (AT + 'FATAL:  too many connections for role "watch"', "too_many_connections"),
    (AT + 'FATAL:  too many connections for database "orders"', "too_many_connections"),
    (
        AT + "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "too_many_connections",
    ),
    (
        AT + "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
        "too_many_connections",
    ),
    (AT + 'FATAL:  password authentication failed for user "watch"', "authentication"),
    (AT + "fe_sendauth: no password supplied", "authentication"),
    (
        AT + 'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "w", database "d", SSL encryption\n'
        + AT + 'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "w", database "d", no encryption',
        "authentication",
    ),
    (AT + 'FATAL:  role "watch" does not exist', "authentication"),
    (AT + 'FATAL:  role "watch" is not permitted to log in', "authentication"),
    (AT + "FATAL:  connection requires a valid client certificate", "authentication"),
    (AT + 'FATAL:  database "orders" does not exist', "no_database"),
    (AT + 'FATAL:  database "template0" is not currently accepting connections', "no_database"),
    (AT + 'FATAL:  permission denied for database "orders"', "privilege"),
    (AT + "server does not support SSL, but SSL was required", "tls"),
    (AT + "SSL error: certificate verify failed", "tls"),
    (AT + 'server certificate for "db2" does not match host name "db1"', "tls"),
    (AT + 'root certificate file "/root.crt" does not exist', "tls"),
    (AT + "SSL SYSCALL error: EOF detected", "lost"),
    (AT + "SSL error: unexpected eof while reading", "lost"),
    (AT + "server closed the connection unexpectedly\n\tThis probably means", "lost"),
    (AT + "could not receive data from server: Connection reset by peer", "lost"),
    (AT + "Connection timed out\n\tIs the server running", "silent"),
    (AT + "No route to host\n\tIs the server running", "silent"),
    ('could not translate host name "db1" to address: Name or service not known', "dns"),
    (AT + "received invalid response to SSL negotiation: H", "protocol"),
    (AT + "expected authentication request from server, but received H", "protocol"),
    (AT + 'message contents do not agree with length in message type "S"', "protocol"),
    (AT + 'lost synchronization with server: got message type "H", length 1414811695', "protocol"),
    (AT + "could not create socket: Too many open files", "resources"),
    (AT + "something that no version has said so far", "refused"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), CONNECT_TEXTS)
def test_a_connection_that_was_not_made_is_put_in_its_class(text: str, kind: str) -> None:
    failure = classify_connect(text, "10.0.0.1:5432")
    assert failure.kind == kind
    assert failure.message.startswith("10.0.0.1:5432: ")
    assert "connection to server" not in failure.message
    assert "\n" not in failure.message


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("57014", FailureKind.TIMEOUT),
        ("55P03", FailureKind.LOCK_TIMEOUT),
        ("42501", FailureKind.PRIVILEGE),
        ("42703", FailureKind.UNDEFINED),
        ("42883", FailureKind.UNDEFINED),
        ("42P01", FailureKind.UNDEFINED),
        ("53300", FailureKind.TOO_MANY_CONNECTIONS),
        ("53100", FailureKind.SQL),  # a full disk is no connection problem
        ("55000", FailureKind.MISSING),
        ("57P01", FailureKind.SHUTTING_DOWN),
        ("57P02", FailureKind.LOST),
        ("57P05", FailureKind.LOST),
        ("08006", FailureKind.LOST),
        ("28P01", FailureKind.AUTHENTICATION),
        ("3D000", FailureKind.NO_DATABASE),
        ("22012", FailureKind.SQL),
    ],
)
def test_a_state_decides_where_there_is_one(sqlstate: str, kind: FailureKind) -> None:
    failure = classify(psycopg.errors.lookup(sqlstate)("permission denied for whatever"))
    assert (failure.kind, failure.sqlstate) == (kind, sqlstate)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError("consuming input failed: server closed the connection"), FailureKind.LOST),
        (psycopg.OperationalError("SSL connection has been closed unexpectedly"), FailureKind.LOST),
        (psycopg.OperationalError("could not receive data: Connection timed out"), FailureKind.SILENT),
        (psycopg.OperationalError("no words known"), FailureKind.LOST),
        (psycopg.DataError("timestamp too large (after year 10K)"), FailureKind.SQL),
        (psycopg.ProgrammingError("query parameter missing: x"), FailureKind.BUG),
        (TypeError("expected 3 arguments"), FailureKind.BUG),
    ],
)
def test_errors_of_the_driver_are_put_in_their_class(error: Exception, kind: FailureKind) -> None:
    assert classify(error).kind is kind


def test_messages_hold_no_secret_no_control_and_no_end() -> None:
    text = safe_text("a\x1b[31m\u202ebad\r\nline hunter2 " + "x" * 1000, ["hunter2", ""])
    assert text.startswith("a [31m bad line *** xxx")
    assert len(text) == 300


def test_a_raised_message_of_a_users_function_is_not_repeated() -> None:
    failure = classify(psycopg.errors.RaiseException("card 4111 declined"))
    assert "4111" not in failure.message
