"""deadlocks: real ones are told, one as info and several as a warning; later they are past."""

from collections.abc import Callable

import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.deadlocks import deadlock
from tests.support.servers import Database
from tests.support.vitals import Readings, Vitals


class Shop:
    """The database of a scene, as the readings know it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._deadlocks = 0

    def stage(self, number: int) -> None:
        for _ in range(number):
            deadlock(self.database)
        self._deadlocks += number

    def reset(self) -> None:
        self.database.execute("SELECT pg_stat_reset()")
        self._deadlocks = 0

    def counted(self, readings: Readings) -> bool:
        """Whether they know of all deadlocks, and that the server counts for this database at all."""
        rows = readings["database_stats"].rows.databases
        found = [row for row in rows if row.database == self.database.name and row.xact_commit]
        return [row.deadlocks for row in found] == [self._deadlocks]


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def test_one_is_info_five_are_a_warning_and_quiet_resolves(
    vitals: Callable[..., Vitals], shop: Shop, reader: Session
) -> None:
    scene = vitals({"deadlocks": {}})
    scene.look(reader, until=shop.counted)
    shop.stage(1)
    scene.look(reader, after_s=30, until=shop.counted)
    first = scene.firing["deadlocks"]
    assert (first.severity, first.database) == (Level.INFO, shop.database.name)
    assert first.summary == f"1 deadlock in database {shop.database.name} in the last 30s"
    shop.stage(4)
    scene.look(reader, after_s=30, until=shop.counted)
    assert scene.firing["deadlocks"].severity is Level.WARNING
    for _ in range(11):
        scene.look(reader, after_s=60)
    assert scene.open == {}


def test_deadlocks_from_before_the_first_look_are_not_held_against_anybody(
    vitals: Callable[..., Vitals], shop: Shop, reader: Session
) -> None:
    shop.stage(2)
    scene = vitals({"deadlocks": {}})
    scene.look(reader, until=shop.counted)
    scene.look(reader, after_s=30)
    assert scene.open == {}


def test_a_reset_is_no_deadlock(vitals: Callable[..., Vitals], shop: Shop, reader: Session) -> None:
    shop.stage(1)
    scene = vitals({"deadlocks": {}})
    scene.look(reader, until=shop.counted)
    shop.reset()
    scene.look(reader, after_s=30, until=shop.counted)
    scene.look(reader, after_s=30)
    assert scene.open == {}


def test_a_reset_is_no_end_either(vitals: Callable[..., Vitals], shop: Shop, reader: Session) -> None:
    """What was counted is gone, not past: it ends when the time is over that is looked at."""
    scene = vitals({"deadlocks": {}})
    scene.look(reader, until=shop.counted)
    shop.stage(1)
    scene.look(reader, after_s=30, until=shop.counted)
    shop.reset()
    for _ in range(3):
        scene.look(reader, after_s=30, until=shop.counted)
        assert list(scene.firing) == ["deadlocks"]
    scene.look(reader, after_s=601)
    assert scene.open == {}


def test_what_fires_goes_on_while_nothing_can_be_compared(
    vitals: Callable[..., Vitals], shop: Shop, reader: Session
) -> None:
    """A pgvigil that lost its memory has one reading: that is no proof that all is well."""
    scene = vitals({"deadlocks": {}})
    scene.look(reader, until=shop.counted)
    shop.stage(1)
    scene.look(reader, after_s=30, until=shop.counted)
    scene.pipeline.memory.forget("database_stats")
    scene.look(reader, after_s=30)
    assert list(scene.firing) == ["deadlocks"]
    scene.look(reader, after_s=601)  # before 15 a new database looks like one whose counters were reset
    assert scene.open == {}
