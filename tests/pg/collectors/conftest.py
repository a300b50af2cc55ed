"""What the tests of collectors share: a session of the role that `pgvigil grants` makes, and one of less."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest
from psycopg import sql

from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from tests.support import watching
from tests.support.servers import Database


@pytest.fixture(autouse=True)
def _no_superuser(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a collector reads as a superuser proves nothing; staging is another matter, and another connection."""
    watching.forbid_superusers(monkeypatch)


@pytest.fixture
def reader(each_database: Database) -> Iterator[Session]:
    """A session of the watch role on the fresh database, on each server."""
    with closing(watching.watch(each_database.dsn())) as session:
        yield session


@pytest.fixture
def as_role(each_database: Database) -> Iterator[Callable[..., Session]]:
    """`as_role(*member_of)` opens a session as a fresh role; the role is dropped at the end."""
    name = f"r_{each_database.name}"
    role = sql.Identifier(name)
    with ExitStack() as stack:
        admin = stack.enter_context(each_database.server.connect())
        stack.callback(_drop, admin, role)

        def opened(*member_of: str) -> Session:
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, name))
            for group in member_of:
                admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))
            dsn = Dsn.parse(each_database.dsn(user=name, password=name))
            return stack.enter_context(closing(connect(dsn)))

        yield opened


def _drop(admin: psycopg.Connection[tuple[object, ...]], role: sql.Identifier) -> None:
    admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
