"""Tables that autovacuum does not reach: switched off, or in vain; and one where it only has not begun."""

from collections.abc import Callable

import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support import ids
from tests.support.locks import idle_in_transaction
from tests.support.polling import poll
from tests.support.servers import Database
from tests.support.vitals import Vitals

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


def look_until(seen: Vitals, reader: Session, check: Callable[[], object], message: str) -> None:
    """The counters of a session arrive a moment after its end."""
    poll(lambda: seen.look(reader, after_s=HOUR) and check(), message=message)


def test_a_table_that_autovacuum_may_not_visit_is_told_and_resolves(
    vitals: Callable[..., Vitals], shop: Database, reader: Session
) -> None:
    seen = vitals({"autovacuum_behind": SMALL})
    churn(shop, 3)
    look_until(seen, reader, lambda: seen.firing, "it fires")
    told = seen.firing["autovacuum"]
    assert told.severity is Level.WARNING
    assert told.summary.startswith('Autovacuum is behind on 1 table: public."Orders" has ')
    assert told.summary.endswith(" dead rows, 12 times what autovacuum waits for")
    assert told.evidence.cause == "Autovacuum is switched off for this table (autovacuum_enabled)."
    assert told.database == shop.name
    for step in told.steps:
        if step.sql:
            shop.execute(step.sql)
    look_until(seen, reader, lambda: not seen.open, "it resolves")


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
        look_until(
            seen,
            reader,
            lambda: any(
                str(holder.pid) in subject and any("Orders" in note for note in each.evidence.notes)
                for subject, each in seen.firing.items()
            ),
            "the holder tells of the table",
        )
        assert "autovacuum" not in seen.firing


def test_the_healthy_twin_is_silent(vitals: Callable[..., Vitals], shop: Database, reader: Session) -> None:
    """Beyond its threshold for a moment, or often but with few rows."""
    seen = vitals({"autovacuum_behind": {}})
    churn(shop, 3)
    seen.look(reader, after_s=HOUR)
    seen.look(reader, after_s=HOUR)
    assert seen.open == {}
    short = vitals({"autovacuum_behind": SMALL})
    look_until(short, reader, lambda: short.open, "it is seen")
    shop.execute('VACUUM "Orders"')
    poll(lambda: short.look(reader, after_s=60) and not short.open, message="gone before it fires")
    assert short.firing == {}
