"""Ordinary connections, without the limits of monitoring: for servers of our own making, never for a target."""

from typing import Any, LiteralString

import psycopg
from psycopg import sql

Error = psycopg.Error
Statement = LiteralString | sql.Composed
Connection = psycopg.Connection[tuple[Any, ...]]


def connect(dsn: str, *, application_name: str, autocommit: bool = True) -> Connection:
    """A connection that may write. Raises `Error`."""
    return psycopg.connect(dsn, application_name=application_name, autocommit=autocommit, connect_timeout=5)


def execute(dsn: str, *statements: Statement, application_name: str) -> None:
    """Run statements, each its own transaction, on a connection made for them. Raises `Error`."""
    with connect(dsn, application_name=application_name) as connection:
        for statement in statements:
            connection.execute(statement)
