"""A table that most rows have left, until it is rebuilt; one that is told only where it can be; and healthy ones."""

from collections.abc import Callable

import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support.counting import vacuum_analyze
from tests.support.servers import Database
from tests.support.vitals import Vitals

HOUR = 3600.0
SMALL = {"min_size": "1MB", "info_size": "100kB"}


@pytest.fixture
def shop(database: Database) -> Database:
    database.execute(
        'CREATE TABLE "Orders" (id bigint, amount int) WITH (autovacuum_enabled = off);'
        'INSERT INTO "Orders" SELECT i, i FROM generate_series(1, 60000) AS i'
    )
    vacuum_analyze(database, '"Orders"')
    return database


def leave(shop: Database) -> None:
    shop.execute('DELETE FROM "Orders" WHERE id % 10 <> 0 AND id < 59000')
    vacuum_analyze(shop, '"Orders"')


def test_a_table_that_its_rows_have_left_is_told_until_it_is_rebuilt(
    vitals: Callable[..., Vitals], shop: Database, reader: Session
) -> None:
    seen = vitals({"table_bloat": SMALL})
    leave(shop)
    seen.look(reader)
    told = seen.firing['table public."Orders"']
    assert told.severity is Level.WARNING
    assert told.summary.startswith('About 88 % of table public."Orders" is not needed by its rows: ')
    shop.execute('VACUUM FULL "Orders"')
    vacuum_analyze(shop, '"Orders"')
    seen.look(reader, after_s=HOUR)
    assert seen.open == {}


def test_the_same_share_of_a_small_table_is_info_or_nothing(
    vitals: Callable[..., Vitals], shop: Database, reader: Session
) -> None:
    leave(shop)
    seen = vitals({"table_bloat": SMALL | {"min_size": "1GB"}})
    seen.look(reader)
    assert [each.severity for each in seen.firing.values()] == [Level.INFO]
    quiet = vitals({"table_bloat": {}}, target="as it comes")
    quiet.look(reader)
    assert quiet.open == {}


def test_a_table_that_can_no_longer_be_judged_is_unknown_and_not_resolved(
    vitals: Callable[..., Vitals], shop: Database, reader: Session
) -> None:
    seen = vitals({"table_bloat": SMALL})
    leave(shop)
    seen.look(reader)
    shop.execute('ALTER TABLE "Orders" ADD COLUMN note text')
    seen.look(reader, after_s=HOUR)
    assert [each.state.value for each in seen.open.values()] == ["unknown"]


def test_the_healthy_twin_is_silent(vitals: Callable[..., Vitals], shop: Database, reader: Session) -> None:
    """Dense, and with rows that only wait for vacuum: those are not bloat."""
    seen = vitals({"table_bloat": SMALL})
    seen.look(reader)
    shop.execute('DELETE FROM "Orders" WHERE id % 5 = 0')
    seen.look(
        reader, after_s=HOUR, until=lambda readings: readings["bloat"].rows.relations[0].candidate.dead_rows
    )
    assert seen.open == {}
