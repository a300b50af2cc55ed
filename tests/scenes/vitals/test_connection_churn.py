"""connection_churn: connections for next to nothing are told, those that work are not."""

from collections.abc import Callable

from collectors.database_stats import COLLECTOR
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.polling import poll
from tests.support.servers import Database
from tests.support.vitals import Vitals

# As by default, in seconds instead of minutes: the clock is the test's, the connections are real.
QUICK = {"connection_churn": {"within": "6s", "for": "6s", "keep_firing_for": "4s"}}


def established(reader: Session, database: Database) -> int:
    rows = COLLECTOR.read(reader).databases
    return sum(row.sessions or 0 for row in rows if row.database == database.name)


def connect(reader: Session, database: Database, sessions: int, statements: int) -> None:
    expected = established(reader, database) + sessions
    for _ in range(sessions):
        with database.connect() as client:
            for _ in range(statements):
                client.execute("SELECT 1")
    poll(lambda: established(reader, database) >= expected, 10, message="the sessions are counted")


def test_many_short_connections_are_told_until_they_end(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    scene = vitals(QUICK)
    scene.look(reader)
    for _ in range(6):
        connect(reader, database, 50, 1)
        scene.look(reader, after_s=2)
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
    scene.look(reader)
    for _ in range(6):
        connect(reader, database, 50, 15)
        scene.look(reader, after_s=2)
    assert scene.open == {}


def test_a_few_connections_are_not_told(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    scene = vitals(QUICK)
    scene.look(reader)
    for _ in range(6):
        connect(reader, database, 5, 1)
        scene.look(reader, after_s=2)
    assert scene.open == {}
