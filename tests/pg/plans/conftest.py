"""One shop for all tests of plans: they only read it."""

from collections.abc import Iterator

import pytest

from tests.support import plans, servers


@pytest.fixture(scope="session")
def shop(server_pool: servers.Pool) -> Iterator[servers.Database]:
    server = server_pool.get(servers.names()[0])
    with servers.fresh_database(server) as fresh:
        with fresh.connect() as connection:
            for statement in filter(str.strip, plans.SHOP.split(";\n")):
                connection.execute(statement.encode())
        yield fresh
