"""The example is a configuration that works, and says what the defaults are."""

import re
import tomllib
from pathlib import Path

import pytest

from daemon.settings import Settings, load
from daemon.settings.describe import key_docs
from daemon.settings.generate import example, plugin_pages, reference
from daemon.settings.generate.toml import value_text
from daemon.settings.plugins import Plugins, collector_section
from tests.unit.settings.conftest import PLUGINS

EVERYTHING = Plugins.installed()


def loaded(directory: Path, text: str, plugins: Plugins) -> Settings:
    (directory / "pgvigil.toml").write_text(text)
    return load(directory / "pgvigil.toml", {}, plugins)


@pytest.mark.parametrize("plugins", [EVERYTHING, PLUGINS, Plugins()], ids=["installed", "ours", "none"])
def test_the_example_loads_and_means_the_defaults(plugins: Plugins, tmp_path: Path) -> None:
    settings = loaded(tmp_path, example.text(plugins), plugins)
    bare = loaded(tmp_path, '[[targets]]\nname = "orders-prod"\ndsn = "host=db1"\n', plugins)
    assert [target.name for target in settings.targets] == ["orders-prod"]
    assert settings.daemon == bare.daemon
    assert settings.metrics == bare.metrics
    assert settings.rules == bare.rules
    for name, collector in plugins.collectors.items():
        assert settings.collector(name).model_dump() == collector_section(collector)().model_dump()


def live(section: str) -> str:
    """A section with its `#key = value` lines taken in."""
    return re.sub(r"^#(?=[a-z_]+ = )", "", section, flags=re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in EVERYTHING.rules if name != "threshold"])
def test_the_defaults_that_a_rule_shows_are_its_defaults(name: str) -> None:
    model = EVERYTHING.rules[name].params
    shown = tomllib.loads(live(example.section("x", model)))["x"]
    by_default = model()
    assert set(shown) == {doc.key for doc in key_docs(model)}
    unset = {doc.key for doc in key_docs(model) if doc.default is None}
    read = model.model_validate({key: value for key, value in shown.items() if key not in unset})
    assert read == by_default


@pytest.mark.parametrize("name", [name for name in EVERYTHING.rules if name != "threshold"])
def test_a_rule_whose_every_key_is_taken_in_is_valid(name: str) -> None:
    model = EVERYTHING.rules[name].params
    model.model_validate(tomllib.loads(live(example.section("x", model)))["x"])


@pytest.mark.parametrize(
    "value",
    [
        "a",
        'quote " and \\ back',
        "line\nbreak \x7f",
        "ünïcode",
        3,
        2.5,
        80.0,
        1e9,
        True,
        ["a", ["b"]],
        {"k k": {"x": 1}},
    ],
)
def test_values_read_back(value: object) -> None:
    assert tomllib.loads(f"x = {value_text(value)}")["x"] == value


def test_a_table_of_keys_says_range_default_and_need() -> None:
    text = reference.key_table(PLUGINS.sinks["hook"].params)
    assert "| `token_file` | a path | needed | File with the token. |" in text
    rule = plugin_pages.rule_page(PLUGINS.rules["slow_query"])
    assert "| `min_calls` | a whole number, 1 to 1000 | `5` | Calls in the interval. |" in rule
    assert '| `warning` | a duration | `"500ms"` |' in rule


def test_the_instance_of_the_threshold_rule_that_is_shown_is_valid(tmp_path: Path) -> None:
    text = example.text(EVERYTHING)
    shown = text[text.index("#[rules.threshold.instances.NAME]") :].partition("\n\n")[0]
    taken_in = re.sub(r"^#(?! )", "", shown, flags=re.MULTILINE)
    settings = loaded(tmp_path, f"{text}\n{taken_in}\n", EVERYTHING)
    assert "threshold.NAME" in settings.bound_rules("orders-prod")
