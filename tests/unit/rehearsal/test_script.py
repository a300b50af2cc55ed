"""A file of a rehearsal: what is wrong with it is said with line, key, value and the way out."""

import json
from pathlib import Path

import pytest

from daemon.rehearsal import script
from daemon.settings.errors import ConfigErrors
from daemon.settings.plugins import Plugins

PLUGINS = Plugins.installed()
GOOD = """
[[tests]]
name = "an old prepared transaction"
[[tests.readings]]
collector = "prepared_transactions"
rows = []
[[tests.expect]]
at = "1m"
"""


def errors(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigErrors) as raised:
        script.read(file, PLUGINS)
    return "\n".join(str(error).removeprefix(str(file.parent) + "/") for error in raised.value.errors)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rules.toml"


def test_a_file_without_a_fault_is_read(file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    found = script.read(file, PLUGINS)
    assert [len(readings) for readings in found.cases] == [1]
    assert found.cases[0][0].moments_s() == [0.0]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            'collector = "prepared_transactions"',
            'collector = "prepared_transaction"',
            'rules.toml:5: tests[0].readings[0].collector = "prepared_transaction": unknown collector; did you mean',
        ),
        ("rows = []", "", "give exactly one of rows and rows_file"),
        ("rows = []", 'rows_file = "gone.json"', "cannot be read: No such file or directory"),
        ("rows = []", 'rows = "many"', "tests[0].readings[0].rows: "),
        ("rows = []", "rows = [{}]", "tests[0].readings[0].rows: [0]"),
        ("rows = []", "rows = []\nfacts = {version_num = 'new'}", "readings[0].facts: version_num: "),
        (
            '"prepared_transactions"\nrows = []',
            '"statements"\nrows = {}',
            "give exactly one of entries and ran",
        ),
        (
            '"prepared_transactions"\nrows = []',
            '"statements"\nrows = {ran = [{dbid = 5, queryid = 7, call = 1}]}',
            "rows: ran[0].call: Extra inputs are not permitted",
        ),
        ('at = "1m"', 'at = "soon"', 'tests[0].expect[0].at = "soon"'),
        ("[[tests]]", 'only = ["slow"]\n[[tests]]', 'only[0] = "slow": unknown rule'),
    ],
)
def test_what_is_wrong_is_said_at_its_place(file: Path, before: str, after: str, told: str) -> None:
    assert told in errors(file, GOOD.replace(before, after, 1))


def test_a_column_that_the_collector_does_not_have_is_an_error(file: Path) -> None:
    """It would otherwise be believed to have an effect."""
    rows = 'rows = {up = true, "attempt" = 3}'
    text = GOOD.replace('"prepared_transactions"', '"availability"').replace("rows = []", rows)
    assert "attempt: the collector has no such column" in errors(file, text)


def test_a_file_that_is_no_json_is_said(file: Path) -> None:
    (file.parent / "rows.json").write_text("{", encoding="utf-8")
    assert "is no JSON" in errors(file, GOOD.replace("rows = []", 'rows_file = "rows.json"'))


def test_a_captured_file_names_collector_database_and_facts_itself(file: Path) -> None:
    captured = {
        "collector": "prepared_transactions",
        "database": None,
        "facts": {"version_num": 150004, "in_recovery": True},
        "rows": [],
    }
    (file.parent / "rows.json").write_text(json.dumps(captured), encoding="utf-8")
    text = GOOD.replace('collector = "prepared_transactions"\n', "").replace(
        "rows = []", 'rows_file = "rows.json"'
    )
    file.write_text(text, encoding="utf-8")
    ((reading,),) = script.read(file, PLUGINS).cases
    assert reading.collector.name == "prepared_transactions"
    assert (reading.facts.version_num, reading.facts.in_recovery) == (150004, True)
