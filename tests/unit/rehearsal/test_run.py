"""Rules on readings from a file: `for`, thresholds and recovery pass at once, and what differs is said."""

from dataclasses import replace
from pathlib import Path

import pytest

from alerts.bound import BoundRule
from daemon.rehearsal.run import bound, play
from daemon.rehearsal.script import read
from daemon.settings.plugins import Plugins
from pgvigil.model.finding import Judgement

PLUGINS = Plugins.installed()
DOWN = """
only = ["target_down"]

[rules.target_down]
for = "30s"

[[tests]]
name = "down for half a minute"

[[tests.readings]]
collector = "availability"
rows = {up = false, attempts = 1, failure = {kind = "refused", message = "db1: Connection refused"}}
every = "5s"
times = 8

[[tests.readings]]
at = "40s"
collector = "availability"
rows = {up = true}

[[tests.expect]]
at = "25s"

[[tests.expect]]
at = "35s"
incidents = [{rule = "target_down", severity = "critical", summary = "*refused*"}]

[[tests.expect]]
at = "40s"
"""


def wrong(tmp_path: Path, text: str) -> tuple[str, ...]:
    file = tmp_path / "rules.toml"
    file.write_text(text, encoding="utf-8")
    script = read(file, PLUGINS)
    (case,), (readings,) = script.section.tests, script.cases
    return play(script.section.target, bound(script, PLUGINS), case, readings).wrong


def test_it_fires_after_its_time_and_resolves_with_the_answer(tmp_path: Path) -> None:
    assert wrong(tmp_path, DOWN) == ()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('for = "30s"', 'for = "5m"', "at 35s: expected target_down firing"),
        ('for = "30s"', 'for = "10s"', "at 25s: not expected: target_down firing critical"),
        ('severity = "critical"', 'severity = "info"', "at 35s: expected target_down firing (severity info"),
        ('"*refused*"', '"*silent*"', "summary *silent*): target_down firing critical"),
        ('only = ["target_down"]', 'only = ["two_primaries"]', "nothing of that rule is open"),
        ("up = true", "up = false", "at 40s: not expected: target_down firing"),
    ],
)
def test_what_goes_differently_is_said(tmp_path: Path, before: str, after: str, told: str) -> None:
    found = wrong(tmp_path, DOWN.replace(before, after, 1))
    assert any(told in line for line in found), found


def test_a_rule_that_throws_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(DOWN, encoding="utf-8")
    script = read(file, PLUGINS)
    down = bound(script, PLUGINS)["target_down"]

    def throws(*_given: object) -> Judgement:
        raise KeyError("a defect")

    broken = BoundRule(replace(down.rule, evaluate=throws), down.params)
    outcome = play("shop", {"target_down": broken}, script.section.tests[0], script.cases[0])
    assert outcome.wrong[-1] == "the rule target_down failed 1 times"
