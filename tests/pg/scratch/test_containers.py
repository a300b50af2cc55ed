"""The fixtures' last resort: a server in a container."""

import pytest

from tests.support import containers, servers
from tests.support.reporting import not_run

pytestmark = pytest.mark.containers


def test_server_in_a_container_serves_the_fixtures() -> None:
    """With pg_stat_statements preloaded and fresh databases, like every other server."""
    problem = containers.engine_problem()
    if problem:
        not_run(problem)
    pool = servers.Pool()
    try:
        server = pool.get("container")
        with servers.fresh_database(server) as database:
            database.execute("CREATE EXTENSION pg_stat_statements")
            assert database.execute("SELECT count(*) > 0 FROM pg_stat_statements") == [(True,)]
    finally:
        pool.close()
