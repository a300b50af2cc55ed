"""One full disk is one message: what holds back log there is part of it, and stands for itself with room again."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.servers import StartServer
from tests.support.vitals import Readings, Vitals

AMPLE = 100.0 * 1024**3
RULES = {
    "disk_full_soon": {"warning_within": "1s", "critical_within": "1s"},
    "slot_retention": {"for": "0s", "min_retained": "16MB", "warning": 0.01, "critical": 90, "clear": 0.001},
    "slot_inactive": {"for": "0s", "min_retained": "16MB"},
    "archiver_failing": {"warning": "1ms", "critical": "1h", "critical_disk_percent": 100},
}


@pytest.fixture
def server(start_server: StartServer) -> ScratchServer:
    """Its archive refuses everything, and a slot that nobody reads has no limit."""
    started = start_server(
        settings={"archive_mode": "on", "wal_level": "replica", "archive_command": "/bin/false"}
    )
    with psycopg.connect(started.dsn(), autocommit=True) as admin:
        admin.execute("SELECT pg_create_physical_replication_slot('gone', true)")
        for _ in range(3):
            admin.execute("SELECT pg_logical_emit_message(false, 'filler', 'x')")
            admin.execute("SELECT pg_switch_wal()")
    return started


@pytest.fixture
def reader(server: ScratchServer) -> Iterator[Session]:
    with closing(watching.watch(server.dsn())) as session:
        yield session


def failing(readings: Readings) -> bool:
    return bool(readings["archiver"].rows.archiver.failing)


def small(readings: Readings) -> float:
    """A volume that is nearly full with what is there."""
    return float(readings["database_sizes"].rows.volume_bytes) * 1.02


def test_what_fills_the_disk_becomes_a_child_and_stands_alone_with_room_again(
    vitals: Callable[..., Vitals], reader: Session
) -> None:
    scene = vitals(RULES, disk_size_bytes=AMPLE)
    readings = scene.look(reader, until=failing)
    assert set(scene.open) == {"slot gone", "WAL archiving"}
    scene.pipeline.disk_size_bytes = small(readings)
    scene.look(reader, after_s=30)
    disk = scene.open["data volume"]
    assert disk.severity is Level.CRITICAL
    scene.look(reader, after_s=30)
    children = {scene.open[each].parent_id for each in ("slot gone", "WAL archiving")}
    assert children == {disk.id}
    notes = "\n".join(scene.open["data volume"].evidence.notes)
    assert "slot_retention" in notes
    assert "archiver_failing" in notes
    scene.pipeline.disk_size_bytes = AMPLE
    for _ in range(2):
        scene.look(reader, after_s=30)
    assert {each: incident.parent_id for each, incident in scene.open.items()} == {
        "slot gone": None,
        "WAL archiving": None,
    }


def test_a_disk_that_is_full_first_is_the_only_incident(
    vitals: Callable[..., Vitals], reader: Session
) -> None:
    readings = vitals(RULES, disk_size_bytes=AMPLE).look(reader, until=failing)
    scene = vitals(RULES, disk_size_bytes=small(readings), target="second")
    scene.pipeline.facts = reader.facts
    for feed in ("database_sizes", "replication_slots", "archiver"):
        scene.take(readings[feed], reader)
    assert set(scene.open) == {"data volume"}
