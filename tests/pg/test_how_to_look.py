"""What a rule's page gives people to copy runs as it stands."""

from collections.abc import Iterator

import psycopg
import pytest

from daemon.settings.plugins import Plugins
from tests.support import servers

RULES = {name: rule for name, rule in Plugins.installed().rules.items() if not name.startswith("pgbouncer")}


@pytest.fixture(scope="module")
def connection(server: servers.Server) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """To one database for all of them: who looks changes nothing."""
    with servers.fresh_database(server) as fresh:
        fresh.execute("CREATE EXTENSION pg_stat_statements")
        with fresh.connect() as connection:
            yield connection


@pytest.mark.parametrize("name", RULES)
def test_it_runs_on_a_server(name: str, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute(RULES[name].doc.how_to_look.encode())
