"""What a rule's page gives people to copy runs as it stands."""

import pytest

from daemon.settings.plugins import Plugins
from tests.support.servers import Database

RULES = {name: rule for name, rule in Plugins.installed().rules.items() if not name.startswith("pgbouncer")}


@pytest.mark.parametrize("name", RULES)
def test_it_runs_on_a_server(name: str, database: Database) -> None:
    if "pg_stat_statements" in RULES[name].doc.how_to_look:
        database.execute("CREATE EXTENSION pg_stat_statements")
    with database.connect() as connection:
        connection.execute(RULES[name].doc.how_to_look.encode())
