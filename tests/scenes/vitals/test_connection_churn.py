"""connection_churn: connections for next to nothing are told, those that work are not."""

from collections.abc import Callable

import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.reporting import not_run
from tests.support.servers import Database, Server
from tests.support.vitals import Readings, Vitals

# As by default, in seconds instead of minutes: the clock is the test's, the connections are real.
QUICK = {"connection_churn": {"within": "6s", "for": "6s", "keep_firing_for": "4s"}}


@pytest.fixture(autouse=True)
def sessions_are_counted(server: Server) -> None:
    if server.version_num < 140000:
        not_run("before 14 the server does not count sessions", mendable=False)


class Clients:
    """Who connects to the database of a scene; those before `first` are not counted."""

    def __init__(self, database: Database, first: Readings) -> None:
        self._database = database
        self._expected = self._established(first)

    def connect(self, sessions: int, statements: int) -> None:
        for _ in range(sessions):
            with self._database.connect() as client:
                for _ in range(statements):
                    client.execute("SELECT 1")
        self._expected += sessions

    def counted(self, readings: Readings) -> bool:
        return self._established(readings) >= self._expected

    def _established(self, readings: Readings) -> int:
        rows = readings["database_stats"].rows.databases
        return sum(row.sessions or 0 for row in rows if row.database == self._database.name)


def test_many_short_connections_are_told_until_they_end(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    scene = vitals(QUICK)
    clients = Clients(database, scene.look(reader))
    for _ in range(6):
        clients.connect(50, 1)
        scene.look(reader, after_s=2, until=clients.counted)
    incident = scene.firing["new connections"]
    assert incident.severity is Level.WARNING
    assert incident.summary.startswith("25 new sessions per second, ")
    assert f"most in database {database.name}" in incident.summary
    assert database.name in incident.evidence.blocks[0].text
    for _ in range(8):
        scene.look(reader, after_s=2)
    assert scene.open == {}


def test_connections_that_do_their_work_are_not_told(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    scene = vitals(QUICK)
    clients = Clients(database, scene.look(reader))
    for _ in range(6):
        clients.connect(50, 15)
        scene.look(reader, after_s=2, until=clients.counted)
    assert scene.open == {}


def test_a_few_connections_are_not_told(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    scene = vitals(QUICK)
    clients = Clients(database, scene.look(reader))
    for _ in range(6):
        clients.connect(5, 1)
        scene.look(reader, after_s=2, until=clients.counted)
    assert scene.open == {}
