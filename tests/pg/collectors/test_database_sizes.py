"""database_sizes: what takes the room, as the watch role sees it."""

import psycopg

from collectors.database_sizes import COLLECTOR, DATABASES, DatabaseSize, SizesReading, TablespaceSize, Wal
from pgvigil.postgres.session import Session
from tests.support.servers import Database


def test_databases_and_the_log_have_sizes(reader: Session, each_database: Database) -> None:
    """Also those that the role may not connect to."""
    each_database.execute("CREATE TABLE filled AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
    reading = COLLECTOR.read(reader)
    sizes = {each.name: each.size_bytes for each in reading.databases}
    assert sizes.keys() >= {"template0", "template1", "postgres", each_database.name}
    assert (sizes[each_database.name] or 0) > (sizes["template0"] or 0) + 5_000_000
    assert reading.wal is not None
    assert reading.wal.size_bytes >= 16 * 1024**2
    assert reading.volume_bytes == sum(size or 0 for size in sizes.values()) + reading.wal.size_bytes


def test_a_database_that_is_dropped_meanwhile_has_no_size(reader: Session, each_database: Database) -> None:
    """A statement that read its name before the DROP asks for its size after it. The others keep theirs."""
    each_database.execute("CREATE DATABASE leaving")
    with psycopg.connect(each_database.dsn(), autocommit=True) as early:
        early.execute("CREATE TEMPORARY TABLE pg_database AS SELECT * FROM pg_catalog.pg_database")
        each_database.execute("DROP DATABASE leaving")
        text = DATABASES.text(reader.facts).encode()
        sizes = dict(early.execute(text).fetchall())
    assert sizes["leaving"] is None
    assert sizes[each_database.name] > 0


def test_another_tablespace_is_another_volume() -> None:
    reading = SizesReading(
        databases=(DatabaseSize("a", 100),), tablespaces=(TablespaceSize("fast", 60),), wal=Wal(7, 1)
    )
    assert reading.volume_bytes == 47


def test_what_is_not_known_makes_no_sum() -> None:
    known = SizesReading(databases=(DatabaseSize("a", None),), tablespaces=(), wal=Wal(7, 1))
    assert known.volume_bytes is None
    assert SizesReading(databases=(), tablespaces=(), wal=None).volume_bytes is None
