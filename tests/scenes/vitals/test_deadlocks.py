"""deadlocks: real ones are told, one as info and several as a warning; later they are past."""

from collections.abc import Callable

from collectors.database_stats import COLLECTOR
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.deadlocks import deadlock
from tests.support.polling import poll
from tests.support.servers import Database
from tests.support.vitals import Vitals


def counted(reader: Session, database: Database) -> int:
    return sum(row.deadlocks for row in COLLECTOR.read(reader).databases if row.database == database.name)


def stage(database: Database, reader: Session, number: int) -> None:
    expected = counted(reader, database) + number
    for _ in range(number):
        deadlock(database)
    poll(lambda: counted(reader, database) == expected, 10, message="the deadlocks are counted")


def test_one_is_info_five_are_a_warning_and_quiet_resolves(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    scene = vitals({"deadlocks": {}})
    scene.look(reader)
    stage(database, reader, 1)
    scene.look(reader, after_s=30)
    first = scene.firing["deadlocks"]
    assert (first.severity, first.database) == (Level.INFO, database.name)
    assert first.summary == f"1 deadlock in database {database.name} in the last 30s"
    stage(database, reader, 4)
    scene.look(reader, after_s=30)
    assert scene.firing["deadlocks"].severity is Level.WARNING
    for _ in range(11):
        scene.look(reader, after_s=60)
    assert scene.open == {}


def test_deadlocks_from_before_the_first_look_are_not_held_against_anybody(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    stage(database, reader, 2)
    scene = vitals({"deadlocks": {}})
    scene.look(reader)
    scene.look(reader, after_s=30)
    assert scene.open == {}


def test_a_reset_is_no_deadlock(vitals: Callable[..., Vitals], database: Database, reader: Session) -> None:
    stage(database, reader, 1)
    scene = vitals({"deadlocks": {}})
    scene.look(reader)
    database.execute("SELECT pg_stat_reset()")
    poll(lambda: counted(reader, database) == 0, 10, message="the reset shows")
    scene.look(reader, after_s=30)
    scene.look(reader, after_s=30)
    assert scene.open == {}


def test_a_reset_is_no_end_either(vitals: Callable[..., Vitals], database: Database, reader: Session) -> None:
    """What was counted is gone, not past: it ends when the time is over that is looked at."""
    scene = vitals({"deadlocks": {}})
    scene.look(reader)
    stage(database, reader, 1)
    scene.look(reader, after_s=30)
    database.execute("SELECT pg_stat_reset()")
    poll(lambda: counted(reader, database) == 0, 10, message="the reset shows")
    for _ in range(3):
        scene.look(reader, after_s=30)
        assert list(scene.firing) == ["deadlocks"]
    scene.look(reader, after_s=601)
    assert scene.open == {}


def test_what_fires_goes_on_while_nothing_can_be_compared(
    vitals: Callable[..., Vitals], database: Database, reader: Session
) -> None:
    """A pgvigil that lost its memory has one reading: that is no proof that all is well."""
    scene = vitals({"deadlocks": {}})
    scene.look(reader)
    stage(database, reader, 1)
    scene.look(reader, after_s=30)
    scene.pipeline.memory.forget("database_stats")
    scene.look(reader, after_s=30)
    assert list(scene.firing) == ["deadlocks"]
    scene.look(reader, after_s=30)
    assert scene.open == {}
