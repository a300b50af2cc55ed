"""The demo's shop is as large and as busy as promised, and its trouble is real and goes away again."""

from collections.abc import Iterator

import psycopg
import pytest

from daemon.demo import shop, story
from daemon.demo.workload import SHAPES, Workload
from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer
from tests.support.polling import poll
from tests.support.servers import NO_SERVER


@pytest.fixture(scope="module")
def shop_server() -> Iterator[ScratchServer]:
    assert binaries.available(), NO_SERVER
    with ScratchServer.start(binaries.best()) as server:
        shop.create(server.dsn(), server.dsn(shop.DATABASE))
        yield server


def ask(server: ScratchServer, query: str) -> object:
    with psycopg.connect(server.dsn(shop.DATABASE), autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def scene(server: ScratchServer, rule: str) -> story.Scene:
    return next(each for each in story.scenes(server, server.dsn(shop.DATABASE)) if rule in each.rules)


def test_shop_has_half_a_million_rows_in_a_database_of_its_own(shop_server: ScratchServer) -> None:
    assert shop.rows(shop_server.dsn(shop.DATABASE)) >= 500_000
    assert shop.DATABASE != "postgres"
    assert ask(shop_server, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0
    assert ask(shop_server, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0


def test_workload_calls_every_shape_and_comes_back_after_a_restart(shop_server: ScratchServer) -> None:
    with psycopg.connect(shop_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    workload = Workload(shop_server.dsn(shop.DATABASE))
    workload.start()
    try:
        poll(lambda: workload.calls > 300, 30, message="the shop is busy")
        distinct = (
            "SELECT count(DISTINCT query) FROM pg_stat_statements WHERE query ~ 'customers|order|payments'"
        )
        with psycopg.connect(shop_server.dsn(), autocommit=True) as connection:
            poll(
                lambda: connection.execute(distinct).fetchone()[0] >= len(SHAPES),
                30,
                message="every shape was called",
            )
        shop_server.restart()
        before = workload.calls
        poll(lambda: workload.calls > before + 100, 30, message="the shop is busy after a restart")
    finally:
        workload.stop()
    assert len(SHAPES) >= 10


def test_migration_leaves_a_constraint_not_valid_and_an_invalid_index(shop_server: ScratchServer) -> None:
    broken = (
        "SELECT (SELECT count(*) FROM pg_constraint WHERE NOT convalidated)"
        " + (SELECT count(*) FROM pg_index WHERE NOT indisvalid)"
    )
    migration = scene(shop_server, "invalid_index")
    for _ in range(2):
        migration.begin()
        assert ask(shop_server, broken) == 2
    for _ in range(2):
        migration.undo()
        assert ask(shop_server, broken) == 0


def test_lock_pile_up_queues_the_checkout_behind_an_idle_transaction(shop_server: ScratchServer) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    workload = Workload(shop_server.dsn(shop.DATABASE))
    workload.start()
    pile_up = scene(shop_server, "blocking_chain")
    try:
        pile_up.begin()
        poll(lambda: ask(shop_server, waiting) >= 3, 20, message="ALTER TABLE and the checkout wait")
        blockers = "SELECT bool_or('idle in transaction' = b.state) FROM pg_stat_activity AS a, unnest(pg_blocking_pids(a.pid)) AS p JOIN pg_stat_activity AS b ON b.pid = p WHERE a.query LIKE 'ALTER TABLE%'"
        assert ask(shop_server, blockers) is True
        pile_up.undo()
        poll(lambda: ask(shop_server, waiting) == 0, 20, message="nobody waits any more")
        pile_up.undo()
    finally:
        pile_up.undo()
        workload.stop()


def test_dropped_index_makes_baskets_scan_the_table(shop_server: ScratchServer) -> None:
    plan = "EXPLAIN SELECT sku FROM order_items WHERE order_id = 1"
    dropped = scene(shop_server, "slow_query")
    dropped.begin()
    dropped.begin()
    assert "Index" not in str(ask(shop_server, plan))
    dropped.undo()
    dropped.undo()
    assert ask(shop_server, "SELECT to_regclass('order_items_order_id_idx') IS NOT NULL") is True


def test_server_goes_away_and_comes_back(shop_server: ScratchServer) -> None:
    restart = scene(shop_server, "target_down")
    restart.begin()
    with pytest.raises(psycopg.OperationalError):
        ask(shop_server, "SELECT 1")
    restart.undo()
    restart.undo()
    assert ask(shop_server, "SELECT 1") == 1
