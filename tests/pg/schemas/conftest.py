"""The checks are read by the role that `pgvigil grants` makes."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from pgvigil.postgres.session import Session
from tests.support import watching
from tests.support.servers import Database


@pytest.fixture(autouse=True)
def _no_superuser(monkeypatch: pytest.MonkeyPatch) -> None:
    watching.forbid_superusers(monkeypatch)


@pytest.fixture
def reader(each_database: Database) -> Iterator[Session]:
    """A session of the watch role on the fresh database, on each server."""
    with closing(watching.watch(each_database.dsn())) as session:
        yield session
