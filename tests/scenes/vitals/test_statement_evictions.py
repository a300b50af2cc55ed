"""statement_evictions: told while pg_stat_statements forgets every hour, and only then."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from pgvigil.model.level import Level
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.reporting import not_run
from tests.support.servers import StartServer
from tests.support.vitals import Vitals


@pytest.fixture
def server(start_server: StartServer) -> ScratchServer:
    """With room for a hundred statements, the fewest that there may be."""
    return start_server(settings={"pg_stat_statements.max": "100"})


@pytest.fixture
def small(server: ScratchServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements")
        yield admin


def flood(admin: psycopg.Connection[tuple[object, ...]], first: int) -> None:
    """Statements that are all different: of so many columns each."""
    for columns in range(first, first + 150):
        admin.execute("SELECT " + ", ".join(["1"] * columns))


def test_forgetting_every_hour_is_told_until_it_ends(
    server: ScratchServer,
    small: psycopg.Connection[tuple[object, ...]],
    vitals: Callable[..., Vitals],
) -> None:
    if small.info.server_version < 140000:
        not_run("before 14 the server does not tell", mendable=False)
    scene = vitals({"statement_evictions": {}})
    with closing(watching.watch(server.dsn())) as session:
        scene.look(session)
        flood(small, 1)
        scene.look(session, after_s=60)
        assert scene.open == {}  # a minute is no rate
        scene.look(session, after_s=1800)
        told = scene.firing["statement evictions"]
        assert told.severity is Level.INFO
        assert told.summary.startswith("pg_stat_statements evicts its least used entries ")
        assert told.summary.endswith(" times an hour of pg_stat_statements.max = 100")
        for _ in range(3):
            scene.look(session, after_s=1800)
        assert scene.open == {}
        small.execute("SELECT pg_stat_statements_reset()")
        flood(small, 1000)
        for _ in range(2):
            scene.look(session, after_s=400)
        assert scene.open == {}  # of what was before the reset nothing is compared with what came after
