"""Sessions that sit in a transaction, each an incident."""

from contextlib import ExitStack
from typing import Self

import psycopg

from tests.support.locks import StagedSession, idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import Database


class Sessions:
    """Sessions that sit in a transaction, each an incident, by name."""

    def __init__(self, database: Database) -> None:
        self._dsn = database.dsn()
        self._stack = ExitStack()
        self._open: dict[str, StagedSession] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def begin(self, *names: str) -> None:
        for name in names:
            staged = idle_in_transaction(self._dsn, "SELECT 1", application_name=name)
            self._open[name] = self._stack.enter_context(staged)

    def wait_long_enough(self) -> None:
        """Until each has been idle for longer than the rule's threshold of a second."""
        idle = "SELECT bool_and(now() - state_change > '1.1s') FROM pg_stat_activity WHERE pid = ANY(%s)"
        pids = [session.pid for session in self._open.values() if not session.connection.closed]
        with psycopg.connect(self._dsn, autocommit=True) as observer:
            poll(lambda: observer.execute(idle, [pids]).fetchone() == (True,), 10)

    def end(self, name: str) -> None:
        self._open[name].connection.rollback()

    def subject(self, name: str) -> str:
        """The pid: a summary names it."""
        return f"pid {self._open[name].pid}"
