"""Tables that autovacuum does not reach: switched off, or in vain; and one where it only has not begun."""

from collections.abc import Callable

import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support import ids
from tests.support.locks import idle_in_transaction
from tests.support.servers import Database
from tests.support.vitals import Readings, Vitals

HOUR = 3600.0
SMALL = {"min_dead_rows": 500}


@pytest.fixture
def shop(database: Database) -> Database:
    """Autovacuum is switched off for `Orders`, so that nothing happens to it by chance."""
    database.execute(
        'CREATE TABLE "Orders" (id int) WITH (autovacuum_enabled = off);'
        'INSERT INTO "Orders" SELECT generate_series(1, 1000); ANALYZE "Orders"'
    )
    return database


def churn(shop: Database, times: int = 1) -> None:
    for _ in range(times):
        shop.execute('UPDATE "Orders" SET id = id + 1')


def churned(readings: Readings, *, vacuumed: bool = False) -> bool:
    """Three times, less what pages were pruned of, and not vacuumed since; or in vain."""
    tables = [each for each in readings["table_stats"].rows.tables if each.schema == "public"]
    return [(each.dead_rows > 2500, each.vacuumed_s is not None) for each in tables] == [(True, vacuumed)]


def test_a_table_that_autovacuum_may_not_visit_is_told_and_resolves(
    vitals: Callable[..., Vitals], shop: Database, reader: Session
) -> None:
    seen = vitals({"autovacuum_behind": SMALL})
    churn(shop, 3)
    for _ in range(2):
        seen.look(reader, after_s=HOUR, until=churned)
    told = seen.firing["autovacuum"]
    assert told.severity is Level.WARNING
    assert told.summary.startswith('Autovacuum is behind on 1 table: public."Orders" has ')
    assert told.summary.endswith(" dead rows, 12 times what autovacuum waits for")
    assert told.evidence.cause == "Autovacuum is switched off for this table (autovacuum_enabled)."
    assert told.database == shop.name
    for step in told.steps:
        if step.sql:
            shop.execute(step.sql)
    seen.look(reader, after_s=HOUR, until=lambda readings: not churned(readings))
    seen.look(reader, after_s=HOUR)
    assert seen.open == {}


def test_where_vacuum_was_in_vain_the_holder_of_the_horizon_tells_it(
    vitals: Callable[..., Vitals], shop: Database, reader: Session
) -> None:
    """One message: who holds it, with the table as evidence there."""
    holds = {"min_xids": 10, "warning": "1ms", "critical": None}
    seen = vitals({"autovacuum_behind": SMALL, "xmin_horizon_held": holds})
    with idle_in_transaction(shop.dsn(), "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1") as holder:
        ids.use_xids(shop.dsn(), 50)
        churn(shop, 3)
        shop.execute('VACUUM "Orders"')
        for _ in range(2):
            seen.look(reader, after_s=HOUR, until=lambda readings: churned(readings, vacuumed=True))
        (told,) = [each for subject, each in seen.firing.items() if str(holder.pid) in subject]
        assert any("Orders" in note for note in told.evidence.notes)
        assert "autovacuum" not in seen.firing


def test_the_healthy_twin_is_silent(vitals: Callable[..., Vitals], shop: Database, reader: Session) -> None:
    """Beyond its threshold for a moment, or often but with few rows."""
    seen = vitals({"autovacuum_behind": {}})
    churn(shop, 3)
    seen.look(reader, after_s=HOUR, until=churned)
    seen.look(reader, after_s=HOUR)
    assert seen.open == {}
    short = vitals({"autovacuum_behind": SMALL})
    short.look(reader, until=churned)
    assert short.open
    shop.execute('VACUUM "Orders"')
    short.look(reader, after_s=60, until=lambda readings: not churned(readings))
    assert short.open == {}
