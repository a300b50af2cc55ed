"""Private servers whose statistics a test may reset, evict and lose."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from collectors.statements import COLLECTOR
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import Session, connect
from pgvigil.scratch.server import ScratchServer
from pgvigil.statements import StatementChanges, keys
from queries.delta import StatementDeltas
from tests.support import servers, statements, watching


@pytest.fixture(autouse=True)
def _no_superuser(monkeypatch: pytest.MonkeyPatch) -> None:
    watching.forbid_superusers(monkeypatch)


_SETTINGS = {
    "pg_stat_statements.max": "100",  # the smallest that the server allows, so that a test can fill it
    "pg_stat_statements.track": "all",
    "synchronous_commit": "on",  # a crash in one test must not take the schema from the next
}


@pytest.fixture(scope="module", params=[each.major for each in servers.installations()], ids="pg{}".format)
def private_server(request: pytest.FixtureRequest) -> Iterator[ScratchServer]:
    with servers.server_starter() as start:
        server = start(request.param, settings=_SETTINGS)
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
        yield server


class Watched:
    """One server under the collector and the delta engine; `run` is its workload."""

    def __init__(self, server: ScratchServer) -> None:
        self.server = server
        self.deltas = StatementDeltas()
        self._dsn = Dsn.parse(watching.watch_dsn(server.dsn()))
        self.session: Session = connect(self._dsn)
        self.reads = 0

    @property
    def dated(self) -> bool:
        return self.session.facts.has("pg_stat_statements.stats_since")

    @property
    def informed(self) -> bool:
        """Whether the server tells of resets and evictions: from 14 on."""
        return self.session.facts.has("pg_stat_statements_info.dealloc")

    def reconnect(self) -> None:
        self.session.close()
        self.session = connect(self._dsn)

    def run(self, *texts: str) -> list[tuple[Any, ...]]:
        """Runs each on a connection of its own; the rows of the last."""
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            for text in texts:
                cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def read(self) -> Delta[StatementChanges]:
        """One poll, a minute after the one before."""
        shot: Snapshot[Any] = statements.snapshot(COLLECTOR.read(self.session), at_s=60.0 * self.reads)
        self.reads += 1
        return self.deltas.take(shot)

    def told(self, delta: Delta[StatementChanges]) -> dict[str, int]:
        """Calls by normalised text, of the workload alone."""
        texts = dict(self.run("SELECT queryid, query FROM pg_stat_statements"))
        pairs = zip(keys(delta.rows.ran), delta.rows.ran["calls"].tolist(), strict=True)
        named = {texts.get(key.queryid, str(key.queryid)): calls for key, calls in pairs}
        return {text: calls for text, calls in named.items() if text.startswith("SELECT work.")}

    def doubtful(self, delta: Delta[StatementChanges]) -> set[str]:
        """Texts of entries of which the interval cannot be told; of those that are still there."""
        texts = dict(self.run("SELECT queryid, query FROM pg_stat_statements"))
        named = {texts.get(key.queryid, "") for key in keys(delta.rows.uncovered)}
        return {text for text in named if text.startswith("SELECT work.")}


@pytest.fixture
def watch() -> Iterator[Callable[[ScratchServer], Watched]]:
    opened: list[Watched] = []

    def begin(server: ScratchServer) -> Watched:
        opened.append(Watched(server))
        opened[-1].run(
            "CREATE SCHEMA IF NOT EXISTS work",
            *(
                f"CREATE OR REPLACE FUNCTION work.{name}(int) RETURNS int LANGUAGE sql AS 'SELECT $1'"
                for name in ("known", "fresh", "other")
            ),
        )
        return opened[-1]

    yield begin
    for each in opened:
        each.session.close()


@pytest.fixture
def watched(private_server: ScratchServer, watch: Callable[[ScratchServer], Watched]) -> Watched:
    """A server with one known statement, after its first reading."""
    watched = watch(private_server)
    watched.run("SELECT pg_stat_statements_reset()", *["SELECT work.known(1)"] * 10)
    watched.read()
    return watched
