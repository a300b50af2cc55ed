"""constraint_not_valid: a guarantee that is declared and not proven."""

from typing import Any

import pytest

from alerts.rules.constraint_not_valid import RULE, ConstraintNotValidParams
from collectors.constraints import ConstraintsReading, UnprovenConstraint
from pgvigil.model.finding import Judgement, Scope
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE, assert_harmless, context, snapshot


def unproven(**different: Any) -> UnprovenConstraint:
    quiet: dict[str, Any] = {
        "schema": "public",
        "relation": "orders",
        "name": "orders_customer_fk",
        "kind": "foreign key",
        "on_domain": False,
        "enforced": True,
        "estimated_rows": 5e6,
        "locked": False,
        "definition": "FOREIGN KEY (customer_id) REFERENCES customers(id) NOT VALID",
    }
    return UnprovenConstraint(**{**quiet, **different})


def judge(*rows: UnprovenConstraint, **params: Any) -> Judgement:
    reading = snapshot(ConstraintsReading(unproven=rows), "constraints", database="shop")
    return RULE.evaluate(reading, ConstraintNotValidParams(**params), context())


def test_each_constraint_is_its_own_finding_in_its_database() -> None:
    judgement = judge(unproven(), unproven(name="other"))
    assert [(finding.subject, finding.database, finding.level) for finding in judgement.findings] == [
        ("constraint public.orders.orders_customer_fk", "shop", Level.WARNING),
        ("constraint public.orders.other", "shop", Level.WARNING),
    ]
    assert judgement.scope == Scope(databases=frozenset({"shop"}))


def test_its_severity_is_configurable() -> None:
    assert judge(unproven(), severity="critical").findings[0].level is Level.CRITICAL


def test_validation_is_told_with_its_lock_and_a_lock_timeout() -> None:
    step = judge(unproven()).findings[0].steps[0]
    assert "SHARE UPDATE EXCLUSIVE" in step.text
    assert step.sql == (
        "SET lock_timeout = '2s'; ALTER TABLE public.orders VALIDATE CONSTRAINT orders_customer_fk"
    )


def test_nothing_found_is_recovered_in_this_database_only() -> None:
    scope = judge().scope
    assert scope.covers("shop", "constraint public.orders.x")
    assert not scope.covers("other", "constraint public.orders.x")


def test_a_locked_relation_is_neither_found_nor_recovered() -> None:
    judgement = judge(unproven(locked=True, definition=None))
    assert judgement.findings == ()
    assert not judgement.scope.covers("shop", "constraint public.orders.orders_customer_fk")
    assert "ACCESS EXCLUSIVE" in judgement.scope.reason


@pytest.mark.parametrize(
    "different",
    [
        {},
        {"enforced": False},
        {"enforced": False, "kind": "check"},
        {"on_domain": True, "kind": "check"},
        {"kind": "not null", "estimated_rows": None},
    ],
)
def test_hostile_names_do_no_harm_and_stay_names_in_commands(different: dict[str, Any]) -> None:
    row = unproven(
        schema=HOSTILE, relation=HOSTILE, name='x"; DROP TABLE y; --', definition=HOSTILE, **different
    )
    (finding,) = judge(row).findings
    assert_harmless(finding)
    assert finding.subject.isprintable()
    assert all('"x""; DROP TABLE y; --"' in step.sql for step in finding.steps if step.sql)


def test_names_that_differ_only_invisibly_are_two_subjects() -> None:
    findings = judge(unproven(name="a"), unproven(name="a\u200b")).findings
    assert len({finding.fingerprint for finding in findings}) == 2
