"""The connections of one pass: one that stays on the server, and one that goes from database to database."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from daemon.home import Home
from pgvigil.postgres.session import Session


class Sessions:
    """Never more than two connections at once, as with the daemon. `needed` are the extensions that the
    server's collectors read: the connection that stays moves to a database that has them.
    """

    def __init__(
        self, target: str, connect: Callable[[str | None], Session], needed: Collection[str]
    ) -> None:
        self._connect = connect
        self._home = Home(target, connect, needed, lost=lambda: None)
        self._server: Session | None = None

    def server(self) -> Session:
        """Connected anew where the connection was lost. Raises ReadError."""
        if self._server is not None and self._server.broken:
            self.close()
        if self._server is None:
            self._server = self._home.connect()
        return self._server

    @contextmanager
    def visiting(self, database: str) -> Iterator[Session]:
        """A session in `database`: the server's own where that is its place. Raises ReadError."""
        here = self.server()
        if here.database == database:
            yield here
            return
        session = self._connect(database)
        try:
            if self._home.better(here.facts, session.facts):
                self.close()
            yield session
        finally:
            session.close()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
