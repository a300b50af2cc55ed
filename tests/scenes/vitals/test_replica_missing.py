"""replica_missing: who was connected is missed after five minutes, for a day, and not when it comes back."""

from collections.abc import Callable

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.servers import Database
from tests.support.streaming import receiving
from tests.support.vitals import Vitals


def test_one_that_leaves_is_missed_and_one_that_returns_is_not(
    reader: Session, database: Database, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"replica_missing": {}})
    name = f"standby {database.name}"
    with receiving(database.server.dsn(), name):
        scene.look(reader)
        scene.look(reader, after_s=600)
        assert scene.open == {}
    scene.look(reader, after_s=10)
    assert scene.firing == {}  # it may be restarting
    scene.look(reader, after_s=301)
    told = scene.firing[f"replica {name}"]
    assert told.severity is Level.WARNING
    assert told.summary.startswith(f"Standby {name} is not connected since ")
    with receiving(database.server.dsn(), name):
        scene.look(reader, after_s=10)
        assert scene.open == {}


def test_what_was_taken_away_is_forgotten_after_a_day(
    reader: Session, database: Database, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"replica_missing": {"for": "0s"}})
    with receiving(database.server.dsn(), f"old {database.name}"):
        scene.look(reader)
    scene.look(reader, after_s=10)
    assert len(scene.firing) == 1
    scene.look(reader, after_s=86500)
    assert scene.open == {}


def test_with_names_expected_only_those_are_missed(
    reader: Session, database: Database, vitals: Callable[..., Vitals]
) -> None:
    wanted = f"wanted {database.name}"
    scene = vitals({"replica_missing": {"for": "0s", "expected": [wanted]}})
    with receiving(database.server.dsn(), wanted), receiving(database.server.dsn(), f"any {database.name}"):
        scene.look(reader)
        assert scene.open == {}
    scene.look(reader, after_s=10)
    assert list(scene.firing) == [f"replica {wanted}"]
    scene.look(reader, after_s=10 * 86400)
    assert list(scene.firing) == [f"replica {wanted}"]


def test_a_backup_that_ends_is_not_missed(
    reader: Session, database: Database, vitals: Callable[..., Vitals]
) -> None:
    scene = vitals({"replica_missing": {"for": "0s"}})
    with receiving(database.server.dsn(), "pg_basebackup"):
        scene.look(reader)
    scene.look(reader, after_s=600)
    assert scene.open == {}
