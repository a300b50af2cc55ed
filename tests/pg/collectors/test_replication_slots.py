"""replication_slots: what slots hold back, whether they are used, and their limits."""

from collections.abc import Iterator
from contextlib import contextmanager

from collectors.replication_slots import COLLECTOR, Slot
from pgvigil.postgres.session import Session
from tests.support.servers import Database
from tests.support.streaming import receiving


@contextmanager
def slot(database: Database, name: str, *, reserve: bool = True) -> Iterator[None]:
    database.execute("SELECT pg_create_physical_replication_slot(%s, %s)", [name, reserve])
    try:
        yield
    finally:
        database.execute("SELECT pg_drop_replication_slot(%s)", [name])


def read(reader: Session, name: str) -> Slot:
    return next(each for each in COLLECTOR.read(reader).slots if each.name == name)


def test_a_slot_holds_back_what_is_written_after_it(reader: Session, each_database: Database) -> None:
    name = each_database.name
    with slot(each_database, name):
        each_database.execute("CREATE TABLE filler AS SELECT repeat('x', 900) FROM generate_series(1, 2000)")
        found = read(reader, name)
        assert (found.kind, found.active, found.lost) == ("physical", False, False)
        assert (found.retained_bytes or 0) > 1_000_000
        assert found.wal_status == "reserved"
        with receiving(each_database.server.dsn(), name, slot=name):
            assert read(reader, name).active
        assert not read(reader, name).active


def test_a_slot_that_was_never_used_holds_nothing(reader: Session, each_database: Database) -> None:
    with slot(each_database, each_database.name, reserve=False):
        assert read(reader, each_database.name).retained_bytes is None
    assert COLLECTOR.read(reader).keep_bytes is None
