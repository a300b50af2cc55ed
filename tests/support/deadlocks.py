"""A real deadlock: two sessions that each wait for what the other holds."""

import threading

import psycopg

from tests.support.servers import Database

_FIRST, _SECOND = 4711, 4712


def deadlock(database: Database) -> None:
    """The server finds the deadlock and ends one of the two; its counters may follow a moment later."""
    victims: list[str] = []
    both_hold = threading.Barrier(2, timeout=10)

    def run(first: int, second: int) -> None:
        with database.connect() as session:
            session.execute("SET deadlock_timeout = '20ms'")
            session.execute("SELECT pg_advisory_lock(%s)", (first,))
            both_hold.wait()
            try:
                session.execute("SELECT pg_advisory_lock(%s)", (second,))
            except psycopg.errors.DeadlockDetected as error:
                victims.append(str(error))

    threads = [threading.Thread(target=run, args=order) for order in ((_FIRST, _SECOND), (_SECOND, _FIRST))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(victims) == 1, victims
