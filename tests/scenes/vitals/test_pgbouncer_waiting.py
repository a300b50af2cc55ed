"""Clients of a real PgBouncer wait for the one server connection, and get it."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgvigil.model.level import Level
from pgvigil.scratch.server import ScratchServer
from tests.support import poolers
from tests.support.pooled import PooledScene, closing_all, pooled_scene
from tests.support.servers import Database
from tests.support.vitals import Vitals

QUICK = {"pgbouncer_waiting": {"warning": "200ms", "critical": "600ms", "clear": "100ms"}}


@pytest.fixture
def scene(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> Iterator[PooledScene]:
    with pooled_scene(vitals, start_pooler, database.dsn(), QUICK) as staged:
        yield staged


def test_a_queue_is_told_by_its_longest_wait_until_it_is_gone(scene: PooledScene) -> None:
    with scene.waiting(clients=2, longest_s=0.3):
        scene.look()
        (incident,) = scene.vitals.firing.values()
        assert incident.rule == "pgbouncer_waiting"
        assert incident.summary.startswith("2 clients of pool shop/")
        assert incident.subject.startswith("pool shop/")
        assert incident.evidence.cause.startswith("Every server connection of the pool (1) is taken")
        assert any("query_wait_timeout" in figure.name for figure in incident.evidence.figures)
        assert [step.sql for step in incident.steps if step.sql] == [
            "SHOW POOLS;",
            "SHOW SERVERS;",
            "SHOW CLIENTS;",
            "RELOAD;",
        ]
    with scene.waiting(longest_s=0.7):
        scene.look()
        assert [each.severity for each in scene.vitals.firing.values()] == [Level.CRITICAL]
    scene.look(after_s=5)
    scene.look(after_s=61)
    assert scene.vitals.open == {}


def test_a_paused_database_is_named_as_the_cause_with_the_way_out(scene: PooledScene) -> None:
    with scene.pooler.client() as client:
        client.execute("SELECT 1")
        scene.pooler.admin("PAUSE shop")
        client.pgconn.send_query(b"SELECT 1")
        incident = scene.fired()
        assert "is paused" in incident.evidence.cause
        assert "RESUME shop;" in [step.sql for step in incident.steps]
        client.pgconn.finish()


def test_a_server_that_is_gone_is_named_as_the_cause(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, own_server: ScratchServer
) -> None:
    with (
        pooled_scene(vitals, start_pooler, own_server.dsn(), QUICK) as scene,
        scene.pooler.client() as client,
    ):
        client.execute("SELECT 1")
        own_server.stop()
        client.pgconn.send_query(b"SELECT 1")
        assert "has no server connection for it" in scene.fired().evidence.cause
        client.pgconn.finish()


def test_a_pool_whose_place_the_pool_of_another_user_has_is_told_so(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, own_server: ScratchServer
) -> None:
    """It has no server connection at all, and yet the server is well: nobody is to be sent there."""
    with psycopg.connect(own_server.dsn(), autocommit=True) as server:
        for role in (poolers.APPLICATION, poolers.ADMIN):
            created = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            server.execute(created.format(sql.Identifier(role), poolers.PASSWORD))
    with (
        pooled_scene(
            vitals, start_pooler, make_conninfo(own_server.dsn(), user=""), QUICK, max_db_connections=1
        ) as scene,
        closing_all() as queue,
        scene.pooler.client() as holder,
    ):
        other = queue(scene.pooler.client(user=poolers.ADMIN))
        holder.execute("BEGIN")  # for which PgBouncer ends the idle connection of the other one
        other.pgconn.send_query(b"SELECT 1")
        incident = scene.fired()
        assert incident.subject == f"pool shop/{poolers.ADMIN}"
        assert incident.evidence.cause == "All pools of the database together are at max_db_connections (1)."


def test_a_pool_that_is_used_well_is_silent(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> None:
    """A full pool and a queue that moves, under all the rules of a pooler with their defaults."""
    with pooled_scene(vitals, start_pooler, database.dsn(), None) as scene:
        with scene.waiting(clients=3):
            scene.look()
            scene.look(after_s=5)
        scene.look(after_s=5)
        assert scene.vitals.firing == {}
