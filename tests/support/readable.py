"""Whatever a rule's tests make it find must read well for somebody who is woken by it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pgvigil.model.finding import Finding, Judgement
from pgvigil.plugins import Rule
from pgvigil.registry import rules

_LONGEST_SUMMARY = 400  # more is cut in a message


@contextmanager
def listening(hear: Callable[[Finding], object]) -> Iterator[None]:
    """`hear` gets every finding of every rule meanwhile."""
    originals = {name: rule.evaluate for name, rule in rules().items()}
    for rule in rules().values():
        _wrap(rule, hear)
    try:
        yield
    finally:
        for name, rule in rules().items():
            object.__setattr__(rule, "evaluate", originals[name])  # a rule is frozen


@contextmanager
def read_well() -> Iterator[None]:
    """Every finding that is made meanwhile is read as a message too."""
    wrong: list[str] = []
    with listening(lambda finding: wrong.extend(complaints(finding))):
        yield
    assert not wrong


def _wrap(rule: Rule[Any], hear: Callable[[Finding], object]) -> None:
    evaluate = rule.evaluate

    def heard(*given: Any) -> Judgement:
        judged = evaluate(*given)
        for finding in judged.findings:
            hear(finding)
        return judged

    object.__setattr__(rule, "evaluate", heard)


def complaints(finding: Finding) -> list[str]:
    """What is wrong with it as a message; the commands are tried where their tests have a server."""
    evidence = finding.evidence
    said = {
        "no summary": not finding.summary.strip(),
        "a summary of several lines": not finding.summary.isprintable(),
        "a summary that is cut": len(finding.summary) > _LONGEST_SUMMARY,
        "no impact": not evidence.impact.strip(),
        "no step": not finding.steps,
        "a step without words": not all(step.text.strip() for step in finding.steps),
        "ends something before it looks": bool(finding.steps) and _ends(finding.steps[0].sql),
        "a figure without a value": not all(each.name and each.value for each in evidence.figures),
        "text that is not printable": not all(each.value.isprintable() for each in evidence.figures),
    }
    return [f"{finding.rule}: {words}" for words, wrong in said.items() if wrong]


def _ends(sql: str | None) -> bool:
    """Whether a command takes something away that may still be wanted."""
    destructive = (
        "SELECT pg_terminate_backend",
        "SELECT pg_drop_replication_slot",
        "DROP ",
        "ROLLBACK PREPARED",
    )
    return (sql or "").startswith(destructive)
