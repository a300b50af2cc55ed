"""table_stats: what autovacuum waits for, by its own formula."""

import threading
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from collectors.table_stats import COLLECTOR, TableStats
from pgvigil.postgres.session import Session
from tests.support.polling import poll
from tests.support.servers import Database


@pytest.fixture
def shop(each_database: Database) -> Database:
    """1,000 rows, 400 of them dead, and never vacuumed."""
    each_database.execute(
        "CREATE TABLE orders (id int, note text) WITH (autovacuum_enabled = off);"
        "INSERT INTO orders SELECT i, 'x' FROM generate_series(1, 1000) AS i; ANALYZE orders"
    )
    each_database.execute("DELETE FROM orders WHERE id <= 400")
    return each_database


def seen(reader: Session, *, toast: bool = False) -> TableStats | None:
    """None before its counters have arrived, when others are worse."""
    found = {
        (each.name, each.toast): each for each in COLLECTOR.read(reader).tables if each.schema == "public"
    }
    return found.get(("orders", toast))


def orders(reader: Session, *, toast: bool = False) -> TableStats:
    return poll(lambda: seen(reader, toast=toast), message="it is among the worst") or pytest.fail("not seen")


def test_dead_rows_stand_beside_the_threshold(reader: Session, shop: Database) -> None:
    assert shop
    row = poll(lambda: (found := orders(reader)).dead_rows == 400 and found, message="the counters arrive")
    assert row.live_rows == 600
    assert row.dead_threshold == 50 + 0.2 * 1000
    assert row.dead_ratio == pytest.approx(400 / 250)
    assert row.dead_percent == pytest.approx(40.0)
    assert 0 < row.dead_size_bytes < row.size_bytes
    assert (row.enabled, row.running, row.vacuumed_s) == (False, False, None)
    assert row.insert_threshold == 1000 + 0.2 * 1000
    assert row.freeze_at == 200_000_000
    shop.execute("VACUUM orders")
    shop.execute("DELETE FROM orders WHERE id <= 500")
    row = poll(lambda: (found := orders(reader)).dead_rows == 100 and found, message="vacuum is counted")
    assert row.vacuumed_s is not None


def test_the_tables_own_parameters_win_also_for_its_toast(reader: Session, shop: Database) -> None:
    shop.execute(
        "ALTER TABLE orders SET (autovacuum_vacuum_threshold = 7, autovacuum_vacuum_scale_factor = 0,"
        " autovacuum_freeze_max_age = 150000, autovacuum_vacuum_insert_threshold = -1)"
    )
    row = orders(reader)
    assert (row.dead_threshold, row.freeze_at, row.insert_threshold) == (7, 150_000, None)
    assert orders(reader, toast=True).dead_threshold == 7
    shop.execute(
        "ALTER TABLE orders SET (toast.autovacuum_vacuum_threshold = 9, toast.autovacuum_freeze_max_age = 150000)"
    )
    toast = orders(reader, toast=True)
    assert toast.dead_threshold == 9
    assert toast.enabled


def _vacuum(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    with suppress(psycopg.OperationalError):  # it is ended by the test
        connection.execute("VACUUM (DISABLE_PAGE_SKIPPING) orders")


def test_a_running_vacuum_is_seen(reader: Session, shop: Database) -> None:
    """One that sleeps after every page."""
    with shop.connect() as vacuuming, shop.connect() as admin:
        vacuuming.execute("SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 1")
        pid = vacuuming.info.backend_pid
        thread = threading.Thread(target=lambda: _vacuum(vacuuming), daemon=True)
        thread.start()
        poll(lambda: orders(reader).running, message="the vacuum shows")
        admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        thread.join(10)


def test_the_whole_database_is_summed_up(reader: Session, shop: Database) -> None:
    assert shop
    totals = poll(
        lambda: (found := COLLECTOR.read(reader).totals).dead_rows >= 400 and found, message="the counters"
    )
    assert totals.tables > 50
    assert COLLECTOR.read(reader).workers.most == 3
    assert COLLECTOR.read(reader).workers.enabled
