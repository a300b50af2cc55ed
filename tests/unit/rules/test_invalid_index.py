"""invalid_index: an index that costs and does not serve, and what to do in each case."""

from typing import Any

import pytest

from alerts.rules.invalid_index import RULE, InvalidIndexParams
from collectors.constraints import ConstraintsReading, InvalidIndex
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE, assert_harmless, context, snapshot


def invalid(**different: Any) -> InvalidIndex:
    quiet: dict[str, Any] = {
        "schema": "public",
        "name": "orders_total",
        "relation_schema": "public",
        "relation": "orders",
        "ready": True,
        "live": True,
        "unique": False,
        "constraint": None,
        "partition": False,
        "partitioned": False,
        "partitions": 0,
        "attached": 0,
        "build_phase": None,
        "build_percent": None,
        "ddl": False,
        "locked": False,
        "size_bytes": 2 * 1024**3,
        "definition": "CREATE INDEX orders_total ON public.orders USING btree (total)",
    }
    return InvalidIndex(**{**quiet, **different})


def judge(*rows: InvalidIndex) -> Judgement:
    reading = snapshot(ConstraintsReading(invalid=rows), "constraints", database="shop")
    return RULE.evaluate(reading, InvalidIndexParams(), context())


def commands(**different: Any) -> list[str]:
    (finding,) = judge(invalid(**different)).findings
    return [step.sql for step in finding.steps if step.sql]


def test_a_failed_build_is_rebuilt_or_dropped() -> None:
    (finding,) = judge(invalid()).findings
    assert (finding.level, finding.subject) == (Level.WARNING, "index public.orders_total")
    assert finding.summary == "Index public.orders_total is invalid (2.0 GB)"
    assert "CREATE INDEX CONCURRENTLY failed" in finding.evidence.cause
    assert commands() == [
        "REINDEX INDEX CONCURRENTLY public.orders_total",
        "DROP INDEX CONCURRENTLY public.orders_total",
    ]


@pytest.mark.parametrize("name", ["o_ccnew", "o_ccold", "o_ccnew1"])
def test_what_a_rebuild_left_behind_is_dropped(name: str) -> None:
    assert commands(name=name) == [f"DROP INDEX CONCURRENTLY public.{name}"]


def test_an_interrupted_drop_is_finished() -> None:
    assert commands(live=False, ready=False) == ["DROP INDEX CONCURRENTLY public.orders_total"]


@pytest.mark.parametrize("different", [{"constraint": "orders_pkey"}, {"partition": True}])
def test_what_cannot_be_dropped_is_only_rebuilt(different: dict[str, Any]) -> None:
    assert commands(**different) == ["REINDEX INDEX CONCURRENTLY public.orders_total"]


def test_an_index_on_a_partitioned_table_is_completed() -> None:
    (finding,) = judge(invalid(partitioned=True, partitions=4, attached=1, size_bytes=0)).findings
    assert "3 partitions without an attached index" in finding.evidence.impact
    assert "ATTACH PARTITION" in (finding.steps[-1].sql or "")


@pytest.mark.parametrize(("ready", "words"), [(True, "Every write maintains it"), (False, "takes space")])
def test_it_says_what_the_index_costs(ready: bool, words: str) -> None:
    (finding,) = judge(invalid(ready=ready, unique=True)).findings
    assert words in finding.evidence.impact
    assert "unique" in finding.evidence.impact


@pytest.mark.parametrize("work", [{"build_phase": "building index", "build_percent": 40.0}, {"ddl": True}])
def test_an_index_in_work_is_neither_found_nor_recovered(work: dict[str, Any]) -> None:
    """An incident that is open while somebody rebuilds the index must not resolve before that is done."""
    judgement = judge(invalid(**work), invalid(name="other"))
    assert [finding.subject for finding in judgement.findings] == ["index public.other"]
    assert not judgement.scope.covers("shop", "index public.orders_total")
    assert "running" in judgement.scope.reason or "working" in judgement.scope.reason


def test_no_row_means_recovered_in_this_database_only() -> None:
    assert judge() == Judgement((), Scope(databases=frozenset({"shop"})))


def test_a_locked_relation_is_neither_found_nor_recovered() -> None:
    judgement = judge(invalid(locked=True, size_bytes=None, definition=None))
    assert judgement.findings == ()
    assert not judgement.scope.covers("shop", "index public.orders_total")


@pytest.mark.parametrize("different", [{}, {"partitioned": True}, {"schema": "pg_toast"}])
def test_hostile_names_do_no_harm(different: dict[str, Any]) -> None:
    hostile = {"name": HOSTILE, "relation": HOSTILE, "constraint": HOSTILE, "definition": HOSTILE}
    (finding,) = judge(invalid(**{**hostile, **different})).findings
    assert_harmless(finding)
