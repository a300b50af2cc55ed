"""temp_files: files that a real sort has spilled, and whose they are."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from collectors.temp_files import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support.servers import Database


@contextmanager
def spilling(database: Database, rows: int = 200_000) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A cursor that keeps a sort's files open: some 20 MB for 200,000 rows."""
    with psycopg.connect(database.dsn(application_name="report")) as connection:
        connection.execute("SET work_mem = '64kB'")
        connection.execute("SET max_parallel_workers_per_gather = 0")
        connection.execute(
            "DECLARE c CURSOR FOR SELECT md5(i::text) || repeat('x', 60) AS m"
            f" FROM generate_series(1, {rows}) AS i ORDER BY 1"
        )
        connection.execute("FETCH 1 FROM c")
        yield connection


def test_a_sort_that_spills_is_seen_with_its_session(reader: Session, each_database: Database) -> None:
    with spilling(each_database) as connection:
        reading = COLLECTOR.read(reader)
        mine = next(each for each in reading.holders or () if each.pid == connection.info.backend_pid)
    assert mine.size_bytes > 10_000_000
    assert mine.owner is not None
    assert (mine.owner.application, mine.owner.database) == ("report", each_database.name)
    assert reading.size_bytes >= mine.size_bytes


def test_without_files_there_is_nothing(reader: Session, each_database: Database) -> None:
    with spilling(each_database) as connection:
        pid = connection.info.backend_pid
    reading = COLLECTOR.read(reader)
    assert reading.holders is not None
    assert pid not in {each.pid for each in reading.holders}
