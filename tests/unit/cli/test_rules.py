"""`pgvigil rules`: every rule explains itself."""

import json

import pytest

from daemon.cli import codes, main
from daemon.settings.describe import key_docs
from daemon.settings.plugins import Plugins

Capture = pytest.CaptureFixture[str]
RULES = Plugins.installed().rules


def test_every_rule_is_listed(capsys: Capture) -> None:
    assert main(["rules", "list"]) == codes.OK
    text = capsys.readouterr().out
    assert [name for name in RULES if f"{name} " not in text] == []


def test_rules_as_json(capsys: Capture) -> None:
    assert main(["rules", "list", "--json"]) == codes.OK
    listed = json.loads(capsys.readouterr().out)["rules"]
    assert [rule["name"] for rule in listed] == list(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_all_there_is_to_know(name: str, capsys: Capture) -> None:
    assert main(["rules", "explain", name]) == codes.OK
    text = capsys.readouterr().out
    lines = {line.strip() for line in text.splitlines()}
    titles = {
        "Measures",
        "Why these defaults",
        "Evidence",
        "What to do",
        "How to silence it",
        "enabled = false",
    }
    assert titles <= lines
    assert [doc.key for doc in key_docs(RULES[name].params) if f"  {doc.key} " not in text] == []


@pytest.mark.parametrize("name", RULES)
def test_a_rule_as_json(name: str, capsys: Capture) -> None:
    assert main(["rules", "explain", name, "--json"]) == codes.OK
    rule = json.loads(capsys.readouterr().out)
    assert rule["name"] == name
    assert {"meaning", "magnitude", "parameters", "evidence", "what_to_do"} <= set(rule)


def test_an_unknown_rule_names_the_nearest(capsys: Capture) -> None:
    assert main(["rules", "explain", "target_dwon"]) == codes.SETUP
    assert 'did you mean "target_down"?' in capsys.readouterr().err
