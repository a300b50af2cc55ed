"""foreign_key_trigger_disabled: a foreign key in name only."""

from typing import Any

import pytest

from alerts.rules.foreign_key_trigger_disabled import RULE, ForeignKeyTriggerDisabledParams
from collectors.constraints import ConstraintsReading, DisabledForeignKey
from pgvigil.model.finding import Judgement
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE, assert_harmless, context, snapshot


def disabled(**different: Any) -> DisabledForeignKey:
    quiet: dict[str, Any] = {
        "schema": "public",
        "relation": "items",
        "name": "items_order_fk",
        "referenced_schema": "public",
        "referenced_relation": "orders",
        "columns": ["order_id", "Shard"],
        "referenced_columns": ["id", "shard"],
        "checks_off": True,
        "actions_off": False,
        "replica_only": False,
        "locked": False,
        "definition": 'FOREIGN KEY (order_id, "Shard") REFERENCES orders(id, shard)',
    }
    return DisabledForeignKey(**{**quiet, **different})


def judge(*rows: DisabledForeignKey) -> Judgement:
    reading = snapshot(ConstraintsReading(disabled=rows), "constraints", database="shop")
    return RULE.evaluate(reading, ForeignKeyTriggerDisabledParams(), context())


def test_the_orphans_of_the_time_between_are_looked_for() -> None:
    (finding,) = judge(disabled()).findings
    assert finding.level is Level.WARNING
    assert finding.steps[-1].sql == (
        'SELECT c.* FROM public.items AS c WHERE c.order_id IS NOT NULL AND c."Shard" IS NOT NULL'
        ' AND NOT EXISTS (SELECT FROM public.orders AS p WHERE p.id = c.order_id AND p.shard = c."Shard") LIMIT 100'
    )


@pytest.mark.parametrize(
    ("checks", "actions", "enabled"),
    [
        (True, False, ["public.items"]),
        (False, True, ["public.orders"]),
        (True, True, ["public.items", "public.orders"]),
    ],
)
def test_the_triggers_are_switched_on_where_they_are_off(
    checks: bool, actions: bool, enabled: list[str]
) -> None:
    (finding,) = judge(disabled(checks_off=checks, actions_off=actions)).findings
    commands = [step.sql for step in finding.steps if step.sql and "ENABLE" in step.sql]
    assert commands == [
        f"SET lock_timeout = '2s'; ALTER TABLE {table} ENABLE TRIGGER ALL" for table in enabled
    ]


def test_a_table_that_refers_to_itself_is_switched_on_once() -> None:
    (finding,) = judge(disabled(referenced_relation="items", actions_off=True)).findings
    assert len([step for step in finding.steps if step.sql and "ENABLE" in step.sql]) == 1


def test_replication_only_triggers_are_told_as_such() -> None:
    (finding,) = judge(disabled(replica_only=True)).findings
    assert "except for replication roles" in {f.name: f.value for f in finding.evidence.figures}["Off"]


def test_a_locked_relation_is_neither_found_nor_recovered() -> None:
    judgement = judge(disabled(locked=True, definition=None))
    assert judgement.findings == ()
    assert not judgement.scope.covers("shop", "constraint public.items.items_order_fk")
    assert judgement.scope.covers("shop", "constraint public.items.other")


def test_hostile_names_do_no_harm() -> None:
    row = disabled(
        schema=HOSTILE,
        relation=HOSTILE,
        name=HOSTILE,
        referenced_relation=HOSTILE,
        columns=[HOSTILE],
        referenced_columns=[HOSTILE],
        definition=HOSTILE,
        actions_off=True,
    )
    (finding,) = judge(row).findings
    assert_harmless(finding)
