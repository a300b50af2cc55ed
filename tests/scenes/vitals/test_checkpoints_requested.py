"""checkpoints_requested: a max_wal_size that is too small for the writes, and what only looks like it."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from collectors.checkpoints import COLLECTOR
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.polling import poll
from tests.support.servers import StartServer
from tests.support.vitals import Vitals

MINUTES = 48  # a bit more than the rule looks at


@pytest.fixture
def tiny(start_server: StartServer) -> ScratchServer:
    """Each full segment brings a checkpoint; the timeout never comes in a test."""
    return start_server(settings={"max_wal_size": "32MB", "min_wal_size": "32MB", "checkpoint_timeout": "1h"})


@pytest.fixture
def admin(tiny: ScratchServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(tiny.dsn(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def session(tiny: ScratchServer) -> Iterator[Session]:
    with closing(watching.watch(tiny.dsn())) as opened:
        yield opened


def write(admin: psycopg.Connection[tuple[object, ...]], session: Session) -> None:
    """As much WAL as brings one checkpoint, and no more until that is counted: a segment of 16 MB."""
    before = COLLECTOR.read(session).requested
    for _ in range(4):
        admin.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 4 * 1024 * 1024))")
    poll(lambda: COLLECTOR.read(session).requested > before, 20, message="WAL brings a checkpoint")


def test_writes_that_never_stop_are_told_with_the_size_that_they_need(
    vitals: Callable[..., Vitals], admin: psycopg.Connection[tuple[object, ...]], session: Session
) -> None:
    scene = vitals({"checkpoints_requested": {}})
    for minute in range(MINUTES):
        if minute % 6 == 3:
            write(admin, session)
        scene.look(session, after_s=60)
    incident = scene.firing["checkpoints"]
    assert incident.severity is Level.WARNING
    assert incident.summary.startswith("100 % of the checkpoints come because WAL is full: one every ")
    assert incident.summary.endswith("instead of 1h (max_wal_size 32.0 MB)")
    (advice, reload) = [step.sql for step in incident.steps if step.sql]
    assert advice == "ALTER SYSTEM SET max_wal_size = '1GB'"
    admin.execute(advice)
    admin.execute(reload)
    poll(lambda: COLLECTOR.read(session).max_wal_size_bytes == 1024**3, 10, message="the advice is in force")
    for _ in range(MINUTES):
        scene.look(session, after_s=60)
    assert scene.open == {}


def test_a_load_of_a_quarter_of_an_hour_is_not_told(
    vitals: Callable[..., Vitals], admin: psycopg.Connection[tuple[object, ...]], session: Session
) -> None:
    scene = vitals({"checkpoints_requested": {}})
    for minute in range(2 * MINUTES):
        if 10 <= minute < 25 and minute % 2:
            write(admin, session)
        scene.look(session, after_s=60)
        assert scene.open == {}


def test_checkpoints_that_somebody_asks_for_are_not_told(
    vitals: Callable[..., Vitals], admin: psycopg.Connection[tuple[object, ...]], session: Session
) -> None:
    scene = vitals({"checkpoints_requested": {}})
    for minute in range(MINUTES):
        if minute % 5 == 3:
            admin.execute("SELECT pg_logical_emit_message(false, 'test', 'a')")
            admin.execute("CHECKPOINT")
        scene.look(session, after_s=60)
        assert scene.open == {}
