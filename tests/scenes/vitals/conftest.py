"""What the scenes of rules share: a session of the watch role on a fresh database."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from pgvigil.postgres.session import Session
from tests.support import watching
from tests.support.readable import read_well
from tests.support.servers import Database


@pytest.fixture
def reader(database: Database) -> Iterator[Session]:
    """As the daemon reads: the role that `pgvigil grants` makes."""
    with closing(watching.watch(database.dsn())) as session:
        yield session


@pytest.fixture(autouse=True)
def _findings_read_well() -> Iterator[None]:
    with read_well():
        yield
