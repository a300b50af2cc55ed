"""slot_retention: by the room for log, by the forecast, and by the server's own word; silent under a gigabyte."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from collectors.replication_slots import COLLECTOR, SlotsReading
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.servers import StartServer
from tests.support.vitals import Vitals

GB = 1024.0**3


@pytest.fixture
def server(start_server: StartServer) -> ScratchServer:
    """Slots may hold 64 MB, and are checked at checkpoints."""
    return start_server(
        settings={"max_slot_wal_keep_size": "64MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    )


@pytest.fixture
def reader(server: ScratchServer) -> Iterator[Session]:
    with closing(watching.watch(server.dsn())) as session:
        yield session


@pytest.fixture
def admin(server: ScratchServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_create_physical_replication_slot('gone', true)")
        yield connection


def switch(admin: psycopg.Connection[tuple[object, ...]], segments: int) -> None:
    """Write that many segments of 16 MB, nearly empty."""
    for _ in range(segments):
        admin.execute("SELECT pg_logical_emit_message(false, 'filler', 'x'), pg_switch_wal()")


def test_a_slot_near_its_limit_is_told_and_absorbs_that_it_is_unused(
    reader: Session, admin: psycopg.Connection[tuple[object, ...]], vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"slot_retention": {"min_retained": "16MB", "for": "0s"}, "slot_inactive": {"for": "0s"}})
    scene.look(reader)
    assert scene.loud == []
    switch(admin, 3)
    scene.look(reader, after_s=30)
    (told,) = [each for each in scene.engine.open() if each.rule == "slot_retention"]
    assert told.severity is Level.WARNING
    assert told.summary.startswith("Slot gone holds back ")
    assert "and nobody uses it: " in told.summary
    assert " % of max_slot_wal_keep_size" in told.summary
    switch(admin, 2)
    admin.execute("CHECKPOINT")
    scene.look(reader, after_s=30)
    retention = [each for each in scene.engine.open() if each.rule == "slot_retention"]
    lost = next(each for each in COLLECTOR.read(reader).slots if each.name == "gone").lost
    assert lost or [each.severity for each in retention] == [Level.CRITICAL]
    admin.execute("SELECT pg_drop_replication_slot('gone')")
    for after_s in (30, 301):
        scene.look(reader, after_s=after_s)
    assert scene.open == {}


def test_little_is_no_trouble_whatever_its_share(
    reader: Session, admin: psycopg.Connection[tuple[object, ...]], vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"slot_retention": {"for": "0s"}})
    switch(admin, 2)
    scene.look(reader)
    assert scene.open == {}


def test_without_a_limit_the_forecast_tells_when_the_volume_is_full(
    reader: Session, admin: psycopg.Connection[tuple[object, ...]], vitals: Callable[..., Vitals]
) -> None:
    """The server's own slot, with the figures of a busy one: 6 GB an hour on a volume of 100 GB."""
    scene = vitals({"slot_retention": {"for": "0s"}}, disk_size_bytes=100 * GB)
    snapshot = scene.look(reader)["replication_slots"]
    rows: SlotsReading = snapshot.rows
    assert admin.info.dbname == "postgres"
    for minutes in range(0, 300, 10):
        scene.wait(600)
        slot = rows.slots[0]._replace(retained_bytes=int(minutes * GB / 10))
        taken = replace(
            snapshot, rows=replace(rows, slots=(slot,), keep_bytes=None), taken_at=scene.now().utc
        )
        scene.take(taken, reader)
        if minutes == 60:
            assert scene.firing["slot gone"].severity is Level.WARNING
            assert (
                "15 % of the 40 % of disk_size for log, used up in 5h40m" in scene.firing["slot gone"].summary
            )
    assert scene.firing["slot gone"].severity is Level.CRITICAL


def test_the_word_of_the_server_is_enough(
    reader: Session, admin: psycopg.Connection[tuple[object, ...]], vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"slot_retention": {"for": "0s"}})
    snapshot = scene.look(reader)["replication_slots"]
    assert admin.info.dbname == "postgres"
    slot = snapshot.rows.slots[0]._replace(wal_status="unreserved", safe_bytes=-1)
    scene.take(replace(snapshot, rows=replace(snapshot.rows, slots=(slot,))), reader)
    assert scene.firing["slot gone"].severity is Level.CRITICAL
    assert scene.firing["slot gone"].summary.endswith("; the next checkpoint may remove what it needs")
