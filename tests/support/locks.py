"""Real lock scenes: sessions that hold, and sessions that wait."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from tests.support.polling import poll


@dataclass(slots=True)
class StagedSession:
    """A session of a scene, as pg_stat_activity names it."""

    pid: int
    backend_start: datetime
    connection: psycopg.Connection[tuple[Any, ...]]
    error: list[psycopg.Error] = field(default_factory=list)


@contextmanager
def idle_in_transaction(
    dsn: str, *statements: str, application_name: str = "holder"
) -> Iterator[StagedSession]:
    """A session that ran `statements` in a transaction and then does nothing; rolled back at the end.

    `session.connection.rollback()` ends the transaction earlier.
    """
    with closing(psycopg.connect(dsn, application_name=application_name)) as connection:
        session = _staged(connection)
        for statement in statements:
            connection.execute(statement)
        yield session


@contextmanager
def blocked_session(
    dsn: str,
    statement: str,
    *,
    before: Sequence[str] = (),
    application_name: str = "waiter",
    deadline_s: float = 10.0,
) -> Iterator[StagedSession]:
    """A session that waits for a lock: entered once pg_stat_activity shows it; cancelled at the end.

    `before` runs in the same transaction first. What the statement ended with is in `session.error`.
    """
    with closing(psycopg.connect(dsn, application_name=application_name)) as connection:
        session = _staged(connection)
        for each in before:
            connection.execute(each)
        thread = threading.Thread(target=_run, args=(session, statement), daemon=True)
        thread.start()
        try:
            wait_until_blocked(dsn, session.pid, deadline_s=deadline_s)
            yield session
        finally:
            _end(session, thread)


def wait_until_blocked(dsn: str, pid: int, *, deadline_s: float = 10.0) -> None:
    """Until the server says that `pid` waits for a lock."""
    with psycopg.connect(dsn, autocommit=True) as observer:
        query = "SELECT wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(pid)) > 0 FROM pg_stat_activity WHERE pid = %s"
        poll(
            lambda: observer.execute(query, [pid]).fetchone() == (True,),
            deadline_s,
            message=f"backend {pid} waits for a lock",
        )


def _staged(connection: psycopg.Connection[tuple[Any, ...]]) -> StagedSession:
    row = connection.execute(
        "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    ).fetchone()
    connection.commit()
    assert row is not None
    return StagedSession(*row, connection)


def _run(session: StagedSession, statement: str) -> None:
    try:
        session.connection.execute(statement)
        session.connection.commit()
    except psycopg.Error as error:
        session.error.append(error)


def _end(session: StagedSession, thread: threading.Thread) -> None:
    """Cancel until the thread is gone: a cancel that arrives between two statements is lost."""

    def ended() -> bool:
        with suppress(psycopg.Error):  # the server may be gone, and then the statement is too
            session.connection.cancel_safe(timeout=5)
        thread.join(0.1)
        return not thread.is_alive()

    poll(ended, 20, message="the waiting statement ends after a cancel")
