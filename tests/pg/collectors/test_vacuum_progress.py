"""vacuum_progress: what runs, of which kind, and how far it is."""

import threading
from contextlib import suppress
from typing import Any

import psycopg

from collectors.vacuum_progress import COLLECTOR
from pgvigil.postgres.session import Session
from tests.support.polling import poll
from tests.support.servers import Database


def _vacuum(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    with suppress(psycopg.OperationalError):  # it is ended by the test
        connection.execute("VACUUM (DISABLE_PAGE_SKIPPING) orders")


def test_a_vacuum_by_hand_is_seen_with_its_phase_and_progress(
    reader: Session, each_database: Database
) -> None:
    """One that sleeps after every page."""
    each_database.execute("CREATE TABLE orders (id int) WITH (autovacuum_enabled = off)")
    each_database.execute("INSERT INTO orders SELECT generate_series(1, 50000)")
    [(oid,)] = each_database.execute("SELECT 'orders'::regclass::oid::int8")
    with each_database.connect() as vacuuming, each_database.connect() as admin:
        vacuuming.execute("SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 1")
        thread = threading.Thread(target=_vacuum, args=(vacuuming,), daemon=True)
        thread.start()
        (seen,) = poll(
            lambda: [
                each
                for each in COLLECTOR.read(reader).vacuums
                if each.database == each_database.name and each.scanned_blocks > 0
            ],
            message="the vacuum shows",
        )
        admin.execute("SELECT pg_terminate_backend(%s)", [vacuuming.info.backend_pid])
        thread.join(10)
    assert (seen.relation_oid, seen.kind, seen.phase) == (oid, "manual", "scanning heap")
    assert seen.heap_blocks > 200
    assert seen.scanned_ratio is not None
    assert 0 < seen.scanned_ratio < 1
    assert seen.running_s is not None


def test_a_quiet_server_has_none_and_its_workers_are_known(reader: Session, each_database: Database) -> None:
    reading = COLLECTOR.read(reader)
    assert [each for each in reading.vacuums if each.database == each_database.name] == []
    assert reading.workers.most == 3
