"""Pools as a real PgBouncer tells them, to a user that may look and change nothing."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from collectors.pgbouncer_pools import COLLECTOR, PoolsReading
from pgvigil.model.kind import TargetKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from tests.support import poolers
from tests.support.polling import poll
from tests.support.servers import Database


@pytest.fixture
def pooler(database: Database, start_pooler: poolers.StartPooler) -> poolers.Pooler:
    behind = poolers.line(database.dsn())
    return start_pooler(
        {"shop": f"{behind} pool_size=1", "*": behind}, pool_mode="transaction", max_client_conn=77
    )


@pytest.fixture
def session(pooler: poolers.Pooler) -> Iterator[Session]:
    with closing(connect(Dsn.parse(pooler.dsn()), kind=TargetKind.PGBOUNCER)) as opened:
        yield opened


def read(session: Session) -> PoolsReading:
    reading = COLLECTOR.read(session)
    assert isinstance(reading, PoolsReading)
    return reading


def test_an_idle_pooler_has_limits_and_no_pools(session: Session) -> None:
    reading = read(session)
    assert reading.pools == ()
    assert reading.max_clients == 77
    assert reading.clients >= 1
    shop = reading.databases["shop"]
    assert (shop.pool_size, shop.paused, shop.disabled) == (1, 0, 0)
    assert reading.databases.keys() == {"shop"}


def test_names_that_clients_chose_are_read_as_they_are(pooler: poolers.Pooler, session: Session) -> None:
    """With a line for `*` in its configuration PgBouncer takes any name of a database from whoever connects."""
    name = 'Ünï "code"/\x1b'
    with pooler.client(name) as client:
        client.execute("SELECT 1")
        reading = read(session)
    assert [pool.database for pool in reading.pools] == [name]
    assert name in reading.databases


def test_who_works_and_who_waits_is_counted_in_its_pool(pooler: poolers.Pooler, session: Session) -> None:
    with pooler.client() as busy, pooler.client() as waits, busy.transaction():
        busy.execute("SELECT 1")
        waits.pgconn.send_query(b"SELECT 2")

        def waiting() -> bool:
            return any(pool.cl_waiting for pool in read(session).pools)

        poll(waiting)
        reading = read(session)
        (pool,) = reading.pools
        assert (pool.database, pool.pool_mode) == ("shop", "transaction")
        assert pool.user == reading.databases["shop"].force_user  # all clients share the pool of that one
        assert (pool.cl_active, pool.cl_waiting, pool.taken, pool.sv_idle) == (1, 1, 1, 0)
        poll(lambda: read(session).pools[0].longest_wait_s > 0)
        waits.pgconn.finish()


def test_paused_and_disabled_databases_are_told(pooler: poolers.Pooler, session: Session) -> None:
    pooler.admin("PAUSE shop")
    assert read(session).databases["shop"].paused == 1
    pooler.admin("RESUME shop")
    pooler.admin("DISABLE shop")
    shop = read(session).databases["shop"]
    assert (shop.paused, shop.disabled) == (0, 1)


def test_what_a_reading_exports_is_what_the_console_says(pooler: poolers.Pooler, session: Session) -> None:
    with pooler.client() as client:
        client.execute("SELECT 1")
        reading = read(session)
    exported = {
        family.name: {
            tuple(label(row) for label in family.labels.values()): family.value(row)
            for row in family.rows(reading)
        }
        for family in COLLECTOR.families
    }
    (pool,) = reading.pools
    assert exported["pgbouncer_pool_clients"]["shop", pool.user, "active"] == 1
    assert exported["pgbouncer_pool_longest_wait_seconds"] == {("shop", pool.user): 0}
    assert exported["pgbouncer_database_pool_size"]["shop",] == 1
    assert exported["pgbouncer_max_clients"] == {(): 77}
    assert exported["pgbouncer_database_paused"]["shop",] == 0
