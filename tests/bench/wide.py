"""A server whose pg_stat_statements is full: thousands of statements that differ in more than constants."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations, islice

import psycopg

from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer

ENTRIES_WANTED = 10_000
SETTINGS = {"pg_stat_statements.max": "12000", "shared_buffers": "256MB"}


def texts() -> Iterator[str]:
    """Every choice of columns of a wide table."""
    columns = [f"c{number}" for number in range(16)]
    for size in range(1, len(columns)):
        for chosen in combinations(columns, size):
            yield f"SELECT {', '.join(chosen)} FROM wide"


def fill(dsn: str, entries: int = ENTRIES_WANTED) -> None:
    columns = ", ".join(f"c{number} int" for number in range(16))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute(f"CREATE TABLE wide ({columns})")
        connection.execute("SELECT pg_stat_statements_reset()")
        run(connection, islice(texts(), entries))


def run(connection: psycopg.Connection[tuple[object, ...]], these: Iterator[str]) -> None:
    with connection.pipeline():
        for text in these:
            connection.execute(text, prepare=False)


@contextmanager
def filled_server() -> Iterator[ScratchServer]:
    """The first server that the machine has, with 10,000 statements."""
    with ScratchServer.start(binaries.best(), settings=SETTINGS) as server:
        fill(server.dsn())
        yield server
