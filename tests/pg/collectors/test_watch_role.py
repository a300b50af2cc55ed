"""The collectors are tested as the role that `pgvigil grants` makes, and as no other."""

from contextlib import closing

import pytest

from collectors.availability import COLLECTOR
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from pgvigil.sql.grants import CONNECTIONS
from tests.support import watching
from tests.support.servers import Database


def test_a_reading_as_a_superuser_fails_the_test(each_database: Database) -> None:
    with (
        closing(connect(Dsn.parse(each_database.dsn()))) as session,
        pytest.raises(AssertionError, match="as a superuser"),
    ):
        COLLECTOR.read(session)


def test_the_role_is_the_printed_one(reader: Session, each_database: Database) -> None:
    """Member of pg_monitor, with a limit, and no power of its own."""
    assert (reader.facts.role, reader.facts.superuser, reader.facts.monitor) == (watching.ROLE, False, True)
    [(limit,)] = each_database.execute(
        "SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", [watching.ROLE]
    )
    assert limit == CONNECTIONS
