"""A plug-in is one file and its test."""

import ast
import inspect
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from alerts.render import unit_of
from pgvigil import registry
from pgvigil.plugins import LaneKind
from schemas.catalogue import checks
from tests.support.source import ROOT

TESTS = ROOT / "tests"
COLLECTORS = registry.collectors()
RULES = registry.rules()
SINKS = registry.sinks()
FEEDS = {*COLLECTORS, "statements", "availability", "freshness"}


def holds_tests(paths: list[Path]) -> bool:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    return any(
        isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        for tree in trees
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("name", COLLECTORS)
def test_collector_has_its_test_on_real_servers(name: str) -> None:
    assert holds_tests([*TESTS.glob(f"pg/collectors/test_{name}.py")]), (
        f"write tests/pg/collectors/test_{name}.py"
    )


@pytest.mark.parametrize("name", RULES)
def test_rule_has_its_test(name: str) -> None:
    found = [*TESTS.glob(f"unit/rules/test_{name}.py"), *TESTS.glob(f"scenes/**/test_{name}.py")]
    assert holds_tests(found), f"write tests/unit/rules/test_{name}.py"


@pytest.mark.parametrize("name", checks())
def test_check_of_the_design_has_its_test_on_real_servers(name: str) -> None:
    assert holds_tests([*TESTS.glob(f"pg/schemas/test_{name}.py")]), f"write tests/pg/schemas/test_{name}.py"


@pytest.mark.parametrize("name", SINKS)
def test_sink_has_its_test(name: str) -> None:
    assert holds_tests([*TESTS.glob(f"unit/sinks/test_{name}.py")]), f"write tests/unit/sinks/test_{name}.py"


@pytest.mark.parametrize("name", RULES)
def test_rule_documents_itself(name: str) -> None:
    doc = RULES[name].doc
    parts = {
        part: getattr(doc, part).strip()
        for part in ("meaning", "why_these_defaults", "evidence", "what_to_do", "how_to_look")
    }
    assert [part for part, text in parts.items() if not text] == []


@pytest.mark.parametrize("name", sorted(set(RULES) - {"threshold"}))
def test_a_value_has_a_unit(name: str) -> None:
    """A message without it makes somebody guess; the column that `threshold` judges has its own."""
    source = Path(inspect.getfile(inspect.unwrap(_code(name)))).read_text(encoding="utf-8")
    measured = any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Finding"
        and "value" in {each.arg for each in node.keywords}
        for node in ast.walk(ast.parse(source))
    )
    assert not measured or unit_of(name)


def _code(name: str) -> Callable[..., object]:
    evaluate = RULES[name].evaluate
    return evaluate.func if isinstance(evaluate, partial) else evaluate


@pytest.mark.parametrize("name", COLLECTORS)
def test_collector_stays_within_its_interval(name: str) -> None:
    """A read that may take longer than the interval would make every next one late."""
    collector = COLLECTORS[name]
    assert collector.summary
    assert 0 < collector.timeout_s <= max(collector.interval_s, 5)


def test_a_family_has_one_collector() -> None:
    """Two declarations under one name would be two families for whoever scrapes."""
    owners: dict[str, list[str]] = {}
    for name, collector in COLLECTORS.items():
        for family in collector.families:
            owners.setdefault(family.name, []).append(name)
    assert {family: names for family, names in owners.items() if len(names) > 1} == {}


@pytest.mark.parametrize("name", COLLECTORS)
def test_families_have_names_as_prometheus_wants_them(name: str) -> None:
    for family in COLLECTORS[name].families:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name), family.name
        assert not family.name.endswith(("_total", "_ms", "_kb", "_mb", "_age", "_count")), family.name
        assert not family.name.startswith("pgvigil"), family.name
        assert family.help.endswith("."), family.name
        assert not {"target", "database", "pid", "query", "client"} & {*family.labels} - (
            {"database"} if COLLECTORS[name].lane is LaneKind.SERVER else set()
        ), family.name


@pytest.mark.parametrize("name", COLLECTORS)
def test_columns_are_the_fields_of_their_row(name: str) -> None:
    for query in COLLECTORS[name].queries:
        assert query.row._fields == tuple(column.name for column in query.columns), query.name
