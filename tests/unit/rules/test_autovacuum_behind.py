"""autovacuum_behind and dead_tuples, with the figures of large tables."""

from typing import Any

import pytest

from alerts.rules import dead_tuples
from alerts.rules.autovacuum_behind import RULE, AutovacuumBehindParams
from collectors.table_stats import TableStats, TableStatsReading, Totals, Workers
from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from tests.support import views
from tests.support.readings import HOSTILE, assert_harmless, context, snapshot

MILLION = 1_000_000
GB = 1024**3


def table(**different: Any) -> TableStats:
    """50 million rows; autovacuum comes at 10 million dead ones."""
    plain = TableStats(
        oid=16400,
        schema="public",
        name="orders",
        toast=False,
        live_rows=50 * MILLION,
        dead_rows=MILLION,
        inserted_rows=0,
        size_bytes=10 * GB,
        dead_percent=2.0,
        dead_size_bytes=0.2 * GB,
        dead_threshold=10.0 * MILLION,
        insert_threshold=10.0 * MILLION,
        unfrozen_xids=MILLION,
        freeze_at=200 * MILLION,
        vacuumed_s=86_400.0,
        enabled=True,
        running=False,
    )
    return plain._replace(**different)


def reading(*tables: TableStats, busy: int = 0, enabled: bool = True) -> TableStatsReading:
    return TableStatsReading(
        workers=Workers(busy, 3, enabled), totals=Totals(len(tables), 0, 0), tables=tables
    )


def judge(*tables: TableStats, **workers: Any) -> Finding | None:
    taken = snapshot(reading(*tables, **workers), "table_stats", database="shop")
    judgement = RULE.evaluate(taken, AutovacuumBehindParams(), context())
    assert judgement.scope.covers("shop", "autovacuum")
    return judgement.findings[0] if judgement.findings else None


@pytest.mark.parametrize(
    ("different", "level"),
    [
        ({"dead_rows": 15 * MILLION}, None),
        ({"dead_rows": 20 * MILLION}, Level.HOLD),
        ({"dead_rows": 30 * MILLION}, Level.WARNING),
        ({"dead_rows": 30 * MILLION, "running": True}, Level.HOLD),
        ({"dead_rows": 90_000, "dead_threshold": 50.0}, None),
        ({"unfrozen_xids": 240 * MILLION}, None),
        ({"unfrozen_xids": 250 * MILLION}, Level.WARNING),
        ({"inserted_rows": 40 * MILLION}, Level.INFO),
        ({"inserted_rows": 40 * MILLION, "insert_threshold": None}, None),
    ],
)
def test_a_table_is_judged_by_its_own_threshold(different: dict[str, Any], level: Level | None) -> None:
    found = judge(table(**different))
    assert (found.level if found else None) == level


@pytest.mark.parametrize(
    ("different", "workers", "cause"),
    [
        ({}, {"enabled": False}, "switched off for the whole server"),
        ({"enabled": False}, {}, "switched off for this table"),
        ({"vacuumed_s": 600.0}, {}, "could not remove the rows"),
        ({"vacuumed_s": 600.0, "unfrozen_xids": 300 * MILLION}, {}, "could not freeze the rows"),
        ({}, {"busy": 3}, "All workers are busy"),
        ({}, {"busy": 1}, "Workers are free"),
    ],
)
def test_the_cause_is_told_apart(different: dict[str, Any], workers: dict[str, Any], cause: str) -> None:
    found = judge(table(dead_rows=40 * MILLION, **different), **workers)
    assert found is not None
    assert cause in found.evidence.cause
    assert bool(found.about) == ("could not" in cause)


def test_one_finding_for_a_database_names_the_worst() -> None:
    small = table(oid=1, name="small", dead_rows=200_000, dead_threshold=50.0)
    found = judge(small, table(dead_rows=40 * MILLION))
    assert found is not None
    assert found.summary == (
        "Autovacuum is behind on 2 tables: public.orders has 40,000,000 dead rows, 4 times what autovacuum waits for"
    )
    assert found.explains == {"table shop/1", "table shop/16400"}


def test_a_standby_has_no_counters_of_its_own() -> None:
    taken = snapshot(reading(table(dead_rows=40 * MILLION)), "table_stats", database="shop")
    known = context(facts=views.facts(in_recovery=True))
    assert RULE.evaluate(taken, AutovacuumBehindParams(), known).findings == ()


@pytest.mark.parametrize(
    ("percent", "size", "level"),
    [(19, 5, None), (30, 0.9, None), (30, 1, Level.WARNING), (25, 5, Level.HOLD)],
)
def test_dead_rows_count_by_share_and_size_together(percent: float, size: float, level: Level | None) -> None:
    rule = dead_tuples.RULE
    rows = reading(table(dead_percent=float(percent), dead_size_bytes=size * GB))
    found = rule.evaluate(snapshot(rows, "table_stats", database="shop"), rule.params(), context()).findings
    assert [each.level for each in found] == ([] if level is None else [level])


def test_hostile_names_do_no_harm() -> None:
    hostile = table(schema=HOSTILE, name=HOSTILE, dead_rows=40 * MILLION, enabled=False, toast=True)
    found = judge(hostile)
    assert found is not None
    assert_harmless(found)
