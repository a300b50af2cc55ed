"""Readings of statements in files: as they were read, and as what ran, which is easier to write by hand."""

import json
from pathlib import Path

import pytest

from collectors.statements import COLLECTOR
from daemon.rehearsal.readings import decoded, encoded
from daemon.rehearsal.run import bound, play
from daemon.rehearsal.script import read
from daemon.settings.plugins import Plugins
from tests.support.statements import FakeStatements, key

PLUGINS = Plugins.installed()
SLOW = """
only = ["slow_query"]
databases = {5 = "shop"}

[rules.slow_query]
for = "2m"
keep_firing_for = "1m"

[[tests]]
name = "a statement that is slow for five minutes"

[[tests.readings]]
collector = "statements"
rows = {ran = [{dbid = 5, queryid = 7, calls = 10, exec_ms = 9000}, {dbid = 5, queryid = 8, calls = 900, exec_ms = 900}]}
times = 6

[[tests.readings]]
at = "6m"
collector = "statements"
rows = {ran = [{dbid = 5, queryid = 7, calls = 10, exec_ms = 10}]}
times = 3

[[tests.expect]]
at = "2m"

[[tests.expect]]
at = "5m"
incidents = [{rule = "slow_query", database = "shop", subject = "statement 5/10/7", summary = "900ms a call, 91 %*"}]

[[tests.expect]]
at = "8m"
"""


def wrong(file: Path) -> tuple[str, ...]:
    script = read(file, PLUGINS)
    [case], [readings] = script.section.tests, script.cases
    return play(script.section.target, bound(script, PLUGINS), case, readings).wrong


def test_what_ran_is_judged_like_the_change_between_two_readings(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(SLOW, encoding="utf-8")
    assert wrong(file) == ()
    file.write_text(SLOW.replace("exec_ms = 9000", "exec_ms = 3000"), encoding="utf-8")
    assert any("at 5m: expected slow_query firing" in line for line in wrong(file))


@pytest.mark.parametrize("version", [13, 14, 17])
def test_a_reading_comes_back_as_it_was(version: int) -> None:
    server = FakeStatements(version=version)
    server.run(key(-(2**63)), calls=3, ms=0.1)
    server.run(key(2**63 - 1, toplevel=False), calls=2**40)
    reading = server.read()
    written = json.loads(json.dumps(encoded(COLLECTOR, reading)))
    again = decoded(COLLECTOR, written)
    assert (again.opened, again.closed, again.dated) == (reading.opened, reading.closed, reading.dated)
    for name, column in reading.entries.columns.items():
        assert (again.entries[name] == column).all()
        assert again.entries[name].dtype == column.dtype


def test_two_captured_readings_and_what_ran_after_them(tmp_path: Path) -> None:
    """Captured from a server, with its names of databases, and played on from there by hand."""
    server = FakeStatements()
    for number in range(2):
        server.run(key(7), calls=10, ms=2000.0)
        captured = {
            "collector": "statements",
            "database": None,
            "facts": {},
            "databases": {5: "shop"},
            "rows": encoded(COLLECTOR, server.read()),
        }
        (tmp_path / f"{number}.json").write_text(json.dumps(captured), encoding="utf-8")
    file = tmp_path / "rules.toml"
    file.write_text(
        f"""
only = ["slow_query"]
rules.slow_query.for = "0s"
rules.slow_query.keep_firing_for = "0s"
[[tests]]
name = "slow, and well again"
[[tests.readings]]
rows_file = {json.dumps(str(tmp_path / "0.json"))}
[[tests.readings]]
at = "1m"
rows_file = {json.dumps(str(tmp_path / "1.json"))}
[[tests.readings]]
at = "2m"
collector = "statements"
rows = {{ran = [{{dbid = 5, queryid = 7, calls = 1000, exec_ms = 10}}]}}
[[tests.expect]]
at = "1m"
incidents = [{{rule = "slow_query", database = "shop", summary = "2s a call, 100 %*"}}]
[[tests.expect]]
at = "2m"
""",
        encoding="utf-8",
    )
    assert wrong(file) == ()
