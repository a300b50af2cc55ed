"""Somebody who receives a server's write-ahead log, by the real protocol, and confirms nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus

from tests.support.polling import poll

_CONNECTED = "SELECT count(*) FROM pg_stat_replication WHERE application_name = %s"


@contextmanager
def receiving(dsn: str, name: str, slot: str | None = None) -> Iterator[None]:
    """Streams like a standby that calls itself `name`; when this ends, the server sees that it is gone."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        row = admin.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()
        assert row is not None
        connection = psycopg.connect(make_conninfo(dsn, replication="true", application_name=name))
        try:
            of_slot = f'SLOT "{slot}" ' if slot else ""
            started = connection.pgconn.exec_(f"START_REPLICATION {of_slot}PHYSICAL {row[0]}".encode())
            assert started.status == ExecStatus.COPY_BOTH, started.error_message
            poll(lambda: admin.execute(_CONNECTED, [name]).fetchone() == (1,), message=f"{name} streams")
            yield
        finally:
            connection.close()
            poll(lambda: admin.execute(_CONNECTED, [name]).fetchone() == (0,), 20, message=f"{name} is gone")
