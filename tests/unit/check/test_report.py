"""`pgvigil check`: what its exit code means, and how its report reads."""

from dataclasses import replace
from itertools import permutations

import pytest

from daemon.checking.result import Checked, NotCovered
from daemon.cli import codes
from daemon.cli.check import code, report, target_object
from pgvigil.model.evidence import Block, BlockKind, Evidence, Step
from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from tests.support.readings import HOSTILE


def finding(level: Level, rule: str = "blocking_chain", **different: object) -> Finding:
    plain = Finding(
        rule=rule,
        target="shop",
        database="orders",
        subject="session 7",
        level=level,
        summary="3 sessions blocked",
        steps=(Step("Look."), Step("Then act.", "SELECT 1")),
    )
    return replace(plain, **different)  # type: ignore[arg-type] # whatever fields a test names


def checked(*levels: Level, doubt: bool = False, chosen: bool = False) -> Checked:
    found = tuple(finding(level, subject=f"session {number}") for number, level in enumerate(levels))
    reason = (NotCovered(reason="no right", collector="activity", chosen=chosen),) if doubt or chosen else ()
    return Checked(name="shop", up=True, findings=found, not_covered=reason)


OK, SKIPPED, INFO = checked(), checked(chosen=True), checked(Level.INFO)
UNKNOWN = checked(doubt=True)
WARNING, CRITICAL = checked(Level.WARNING, doubt=True), checked(Level.CRITICAL, Level.WARNING)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], codes.OK),
        ([OK, SKIPPED, INFO], codes.OK),
        ([OK, UNKNOWN, INFO], codes.UNKNOWN),
        ([OK, UNKNOWN, WARNING], codes.WARNING),
        ([OK, UNKNOWN, WARNING, CRITICAL], codes.CRITICAL),
    ],
)
def test_critical_before_warning_before_could_not_tell(results: list[Checked], expected: int) -> None:
    """In whatever order the targets stand; what was left out on purpose is no doubt."""
    assert {code(list(order)) for order in permutations(results)} == {expected}


def test_the_worst_target_comes_first_and_the_tally_last() -> None:
    lines = list(
        report(
            [
                replace(OK, name="calm"),
                replace(UNKNOWN, name="dim"),
                replace(CRITICAL, name="hot"),
                replace(WARNING, name="warm"),
            ]
        )
    )
    heads = [line.partition(":")[0] for line in lines if line and not line.startswith(" ")]
    assert heads == ["hot", "warm", "dim", "calm", "4 targets"]
    assert lines[-1] == "4 targets: 1 critical, 1 warning, 1 could not tell, 1 ok"


def test_what_a_finding_explains_stands_under_it_without_steps_of_its_own() -> None:
    chain = finding(Level.CRITICAL)
    idle = finding(Level.WARNING, "idle_in_transaction")
    lines = list(
        report(
            [Checked(name="shop", up=True, findings=(chain, idle), explained_by={idle.fingerprint: chain})]
        )
    )
    assert lines == [
        "shop: critical (1 finding)",
        "  CRITICAL blocking_chain [orders]: 3 sessions blocked",
        "    1. Look.",
        "    2. Then act.",
        "       SELECT 1",
        "    WARNING idle_in_transaction [orders]: 3 sessions blocked",
    ]


def test_a_warning_shows_its_first_step_alone() -> None:
    (lines,) = [[line for line in report([checked(Level.WARNING)]) if line.startswith("    ")]]
    assert lines == ["    1. Look."]


def test_many_findings_of_a_kind_are_counted_and_json_has_them_all() -> None:
    many = checked(*[Level.WARNING] * 25)
    lines = list(report([many]))
    assert sum("WARNING" in line for line in lines) == 10
    assert "  and 15 more warning of blocking_chain (--json has them all)" in lines
    assert len(target_object(many)["findings"]) == 25


def test_hostile_text_is_shown_as_plain_text() -> None:
    """No escape sequence, bidi override or line break of a name reaches the terminal."""
    evidence = Evidence(impact=HOSTILE, cause=HOSTILE, blocks=(Block(BlockKind.TREE, "t", HOSTILE),))
    found = finding(
        Level.CRITICAL,
        database=HOSTILE,
        summary=HOSTILE,
        evidence=evidence,
        steps=(Step(HOSTILE, HOSTILE),),
    )
    missing = NotCovered(reason=HOSTILE, database=HOSTILE, collector="activity")
    for line in report([Checked(name="shop", up=True, findings=(found,), not_covered=(missing,))]):
        assert line.isprintable(), line


def test_every_doubt_is_named_with_its_place() -> None:
    missing = (
        NotCovered(reason="no CONNECT", database="secret"),
        NotCovered(reason="slow", collector="statements"),
        NotCovered(reason="hidden", database="shop", collector="constraints", rule="invalid_index"),
        NotCovered(reason="asked for", collector="activity", chosen=True),
    )
    assert list(report([Checked(name="shop", up=True, not_covered=missing)])) == [
        "shop: could not tell (3 not covered)",
        "  not covered: everything in database secret: no CONNECT",
        "  not covered: statements: slow",
        "  not covered: invalid_index, from constraints in database shop: hidden",
        "  left out: activity: asked for",
    ]
