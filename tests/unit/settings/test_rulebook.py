"""Which parameters hold for which target."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.settings import ConfigErrors, Settings, load
from daemon.settings.plugins import Plugins
from pgvigil.model.finding import NOTHING, Finding, Judgement
from pgvigil.model.level import Level
from pgvigil.plugins import Context, NumberParams
from tests.unit.settings.conftest import PLUGINS, rule

Load = Callable[..., Settings]
ErrorsOf = Callable[..., list[str]]

TARGETS = """
[[targets]]
name = "orders-prod"
dsn = "host=a"
labels = { env = "prod" }
[[targets]]
name = "orders-test"
dsn = "host=b"
labels = { env = "test" }
[[targets]]
name = "billing"
dsn = "host=c"
"""


def params(settings: Settings, target: str, rule: str = "slow_query") -> Any:
    return settings.bound_rules(target)[rule].params


def test_a_rule_without_a_section_has_its_defaults(load_text: Load) -> None:
    settings = load_text(TARGETS)
    assert set(settings.bound_rules("billing")) == {"slow_query", "target_down"}
    assert params(settings, "billing").warning == 0.5


def test_a_section_replaces_defaults_and_an_override_the_section(load_text: Load) -> None:
    settings = load_text(
        TARGETS
        + '[rules.slow_query]\nfor = "2m"\nkeep_firing_for = "3m"\nmin_calls = 9\n'
        + '[rules.slow_query.overrides."orders-*"]\nwarning = "1s"\nmin_calls = 8\n'
        + '[rules.slow_query.overrides."env=pr*"]\nwarning = "2s"\n'
    )
    got = {
        name: (params(settings, name).warning, params(settings, name).min_calls)
        for name in ("orders-prod", "orders-test", "billing")
    }
    assert got == {"orders-prod": (2.0, 8), "orders-test": (1.0, 8), "billing": (0.5, 9)}
    assert settings.bound_rules("orders-prod")["slow_query"].policy.for_s == 120
    assert params(settings, "orders-prod").keep_firing_for_s == 180


def test_a_rule_can_be_switched_off_for_some_targets(load_text: Load) -> None:
    settings = load_text(
        TARGETS
        + '[rules.target_down.overrides."*-test"]\nenabled = false\n[rules.slow_query]\nenabled = false\n'
    )
    assert set(settings.bound_rules("orders-test")) == set()
    assert set(settings.bound_rules("orders-prod")) == {"target_down"}


def test_an_override_is_checked_where_it_stands(errors_of: ErrorsOf) -> None:
    assert errors_of(
        '[rules.slow_query.overrides."a*"]\nwarnin = "1s"\nmin_calls = 0\n'
        '[rules.slow_query.overrides."b"]\nwarning = "1h"\n'
        '[rules.slow_query.overrides]\n"c" = 4\n'
    ) == [
        'pgvigil.toml:2: rules.slow_query.overrides."a*".warnin: unknown key; did you mean "warning"?',
        (
            'pgvigil.toml:3: rules.slow_query.overrides."a*".min_calls = 0: is too little;'
            " allowed: a whole number, 1 to 1000"
        ),
        (
            "pgvigil.toml:4: rules.slow_query.overrides.b: clear <= warning <= critical must hold, and they are"
            " warning 1h, critical 5s"
        ),
        (
            "pgvigil.toml:7: rules.slow_query.overrides.c = 4: must be a table;"
            " write [rules.slow_query.overrides.c] and its keys below"
        ),
    ]


def test_overrides_that_only_clash_together_are_found(errors_of: ErrorsOf) -> None:
    """Each is right by itself; for the target that both match the order of levels is broken."""
    errors = errors_of(
        TARGETS
        + '[rules.slow_query.overrides."orders-*"]\ncritical = "1s"\n'
        + '[rules.slow_query.overrides."env=prod"]\nwarning = "3s"\n'
    )
    assert errors == [
        (
            'pgvigil.toml:15: rules.slow_query.overrides."env=prod": clear <= warning <= critical must hold,'
            " and they are warning 3s, critical 1s"
        )
    ]


def test_an_override_that_matches_nothing_is_a_problem(load_text: Load) -> None:
    settings = load_text(TARGETS + '[rules.slow_query.overrides."order-*"]\nmin_calls = 2\n')
    (problem,) = [one for one in settings.problems if one.slug == "override-matches-nothing"]
    assert "'order-*'" in problem.sentence
    assert "pgvigil.toml:13" in problem.sentence


def test_keys_are_those_of_the_file_not_of_the_code(errors_of: ErrorsOf) -> None:
    """The code calls it `for_s`; a file must not."""
    assert errors_of('[rules.slow_query]\nfor_s = "2m"\n') == [
        'pgvigil.toml:2: rules.slow_query.for_s: unknown key; did you mean "for"?'
    ]


class ThresholdParams(NumberParams):
    collector: str
    column: str


def finds_one(_reading: Any, params: ThresholdParams, context: Context) -> Judgement:
    seen = Finding(
        rule="threshold",
        target=context.target,
        database=None,
        subject=params.column,
        level=Level.WARNING,
        summary="x",
    )
    return Judgement((seen,), NOTHING)


THRESHOLD = replace(rule("threshold", ThresholdParams), evaluate=finds_one)
WITH_THRESHOLD = Plugins(
    collectors=PLUGINS.collectors, rules={**PLUGINS.rules, "threshold": THRESHOLD}, sinks=PLUGINS.sinks
)
INSTANCES = """
[rules.threshold.instances.many_calls]
collector = "statements"
column = "calls"
warning = 5
[rules.threshold.instances.many_calls.overrides."env=prod"]
warning = 9
[rules.threshold.instances.idle]
collector = "activity"
column = "sessions"
"""


def test_each_instance_of_the_threshold_rule_is_a_rule(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(TARGETS + INSTANCES)
    settings = load(tmp_path / "p.toml", {}, WITH_THRESHOLD)
    bound = settings.bound_rules("orders-prod")
    assert set(bound) == {"slow_query", "target_down", "threshold.many_calls", "threshold.idle"}
    many, idle = bound["threshold.many_calls"], bound["threshold.idle"]
    assert (many.name, many.rule.watches, many.params.warning) == ("threshold.many_calls", ("statements",), 9)
    assert (idle.name, idle.rule.watches) == ("threshold.idle", ("activity",))
    assert params(settings, "billing", "threshold.many_calls").warning == 5


def test_what_an_instance_finds_bears_its_name(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(TARGETS + INSTANCES)
    bound = load(tmp_path / "p.toml", {}, WITH_THRESHOLD).bound_rules("billing")["threshold.idle"]
    reading: Any = None
    context = Context(target="billing", now=datetime(2026, 1, 1, tzinfo=UTC))
    judgement = bound.rule.evaluate(reading, bound.params, context)
    assert [finding.rule for finding in judgement.findings] == ["threshold.idle"]


def test_wrong_instances(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        '[rules.threshold]\nwarning = 4\n[rules.threshold.instances."a b"]\ncollector = "activity"\n'
    )
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / "p.toml", {}, WITH_THRESHOLD)
    assert [str(error).partition("p.toml:")[2] for error in caught.value.errors] == [
        "2: rules.threshold.warning: unknown key; write [rules.threshold.instances.NAME]",
        '3: rules.threshold.instances."a b": is not a name; allowed: letters, digits, _ and -, at most 63',
        '3: rules.threshold.instances."a b".column: is needed here; allowed: text',
    ]
