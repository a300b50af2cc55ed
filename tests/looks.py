"""Every rule's message, to be read: `python -m tests.looks [RULE ...] [--form text|slack|email|webhook]`.

Plays the tests of each rule (those with real servers too) and shows the richest finding that they made it give.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.render import view
from alerts.sinks._account import account
from alerts.sinks.console import as_text
from alerts.sinks.email.message import incident_html
from alerts.sinks.slack.message import render
from alerts.tracked import new
from pgvigil.model.delivery import Act, ActKind, Delivery
from pgvigil.model.finding import Finding
from pgvigil.model.incident import Incident, State
from pgvigil.model.moment import Moment
from pgvigil.registry import rules
from tests.support.readable import listening
from tests.support.source import ROOT

_NOW = datetime(2026, 11, 22, 20, 14, 5, tzinfo=UTC)
_FORMS = ("text", "slack", "email", "webhook")


def _rank(finding: Finding) -> tuple[bool, int, int]:
    evidence = finding.evidence
    hostile = "<!channel>" in repr(finding)
    parts = len(evidence.figures) + len(evidence.blocks) + bool(evidence.cause) + len(finding.steps)
    return not hostile, int(finding.level), parts


def incident_of(finding: Finding) -> Incident:
    """As it is told when it fired a minute ago."""
    began = _NOW - timedelta(minutes=1)
    pending = new(finding, Moment(began, 0.0), ())
    return replace(pending, id=1, state=State.FIRING, fired_at=began, last_true_at=_NOW, evaluated_at=_NOW)


def shown(finding: Finding, form: str) -> str:
    incident = incident_of(finding)
    delivery = Delivery(incident_id=1, sink="oncall", want_version=1, urgency=finding.level, due_since=_NOW)
    message = view(incident, delivery)
    if form == "slack":
        return _json(render(Act(ActKind.POST, 1, 1), incident, delivery))
    if form == "email":
        return incident_html(message, "")
    return _json(account(incident, message)) if form == "webhook" else as_text(message)


def _json(message: Any) -> str:
    return json.dumps(message, indent=2, ensure_ascii=False)


def _tests(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        found: list[Path] = [*ROOT.glob(f"tests/unit/rules/test_{name}.py")]
        found += ROOT.glob(f"tests/scenes/**/test_{name}.py")
        yield from map(str, found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="*", metavar="RULE")
    parser.add_argument("--form", choices=_FORMS, default="text")
    asked = parser.parse_args()
    names = asked.rules or sorted(rules())
    found: list[Finding] = []
    with listening(found.append):
        played = pytest.main(["-q", "-p", "no:randomly", "-p", "no:cacheprovider", *_tests(names)])
    for name in names:
        finding = max((each for each in found if each.rule == name), key=_rank, default=None)
        print(f"\n=== {name}\n{shown(finding, asked.form) if finding else 'nothing was found'}")
    return int(played)


if __name__ == "__main__":
    sys.exit(main())
