"""`pgvigil check`: one look at every target, now."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from alerts.grading import counted
from alerts.render import fit_block
from alerts.sinks.console import step_lines
from daemon.checking.passes import Pass
from daemon.checking.result import Checked, NotCovered
from daemon.cli import codes
from daemon.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigFile,
    chosen_targets,
    command_app,
    load_settings,
    print_json,
)
from daemon.jsonable import finding as as_object
from daemon.jsonable import problem as problem_object
from daemon.settings import Settings, TargetSettings
from pgvigil.model.evidence import BlockKind
from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from pgvigil.problems import SetupError
from pgvigil.text import one_line
from pgvigil.units import format_duration, parse_duration_s

app = command_app("Look at every target once, now, and say what is wrong.")

_CODES = {Level.INFO: codes.OK, Level.WARNING: codes.WARNING, Level.CRITICAL: codes.CRITICAL}
_ALIKE = 10  # findings of one rule and level that are printed
_TREE_CHARS = 3_000
_BY_GRAVITY = ("critical", "warning", "could not tell", "ok")
_WORDS = {
    codes.OK: "ok",
    codes.WARNING: "warning",
    codes.CRITICAL: "critical",
    codes.UNKNOWN: "could not tell",
}


@app.command()
def check(
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    target: Annotated[str | None, typer.Option(help="Only this target; otherwise all.")] = None,
    sample: Annotated[
        str, typer.Option(help="Between the two readings of what only changes tell; 0s reads once.")
    ] = "10s",
    json: AsJson = False,
) -> None:
    """Look at every target once, now, and say what is wrong.

    Nothing is stored and nobody is told but you.

    Exit code: 2 when something critical was found, else 1 for a warning, else 3 when something could not be
    looked at, else 0. How long a condition lasts (`for`) does not count.
    """
    from daemon import logs

    settings = load_settings(config)
    targets = _chosen(settings, target)
    sample_s = _seconds(sample)
    _announce(targets, sample_s)
    flush = logs.configure(settings.daemon.log_format, "warning")
    try:
        results = Pass(settings, sample_s=sample_s).over(targets)
    finally:
        flush()
    if json:
        print_json({"targets": [target_object(each) for each in results]})
    else:
        typer.echo("\n".join(report(results)))
    raise typer.Exit(code(results))


def code(results: Sequence[Checked]) -> int:
    """Critical before warning before could-not-tell before ok, over all targets."""
    worst = max((each.worst for each in results if each.worst is not None), default=Level.INFO)
    if _CODES[worst] != codes.OK:
        return _CODES[worst]
    return codes.UNKNOWN if any(each.doubtful for each in results) else codes.OK


def _chosen(settings: Settings, name: str | None) -> list[TargetSettings]:
    if not settings.targets:
        raise SetupError(*(problem for problem in settings.problems if problem.slug == "no-targets"))
    return chosen_targets(settings, name)


def _seconds(sample: str) -> float:
    try:
        return parse_duration_s(sample)
    except ValueError as error:
        raise typer.BadParameter(f"--sample: {error}") from None


def _announce(targets: Sequence[TargetSettings], sample_s: float) -> None:
    """People at a terminal are told why it takes its time."""
    if sample_s and sys.stderr.isatty():
        noun = "target" if len(targets) == 1 else "targets"
        typer.echo(
            f"looking at {len(targets)} {noun}, twice, {format_duration(sample_s)} apart ...", err=True
        )


# --- for programs -----------------------------------------------------------------------------------------


def target_object(checked: Checked) -> dict[str, Any]:
    return {
        "name": checked.name,
        "up": checked.up,
        "findings": [
            as_object(finding, checked.explained_by.get(finding.fingerprint)) for finding in checked.findings
        ],
        "not_covered": [
            {
                "database": each.database,
                "collector": each.collector,
                "rule": each.rule,
                "reason": each.reason,
                "chosen": each.chosen,
            }
            for each in checked.not_covered
        ],
        "problems": [problem_object(each) for each in checked.problems],
    }


# --- for people -------------------------------------------------------------------------------------------


def report(results: Sequence[Checked]) -> Iterator[str]:
    """The targets with the worst findings first; all text from databases made printable."""
    blocks = [list(_target(checked)) for checked in sorted(results, key=_gravity)]
    for number, block in enumerate(blocks):
        if number and len(blocks[number - 1]) > 1:
            yield ""
        yield from block
    if len(results) > 1:
        tally = Counter(_WORDS[code([each])] for each in results)
        counts = ", ".join(f"{tally[word]} {word}" for word in _BY_GRAVITY if tally[word])
        yield from ("", f"{len(results)} targets: {counts}")


def _gravity(checked: Checked) -> int:
    return _BY_GRAVITY.index(_WORDS[code([checked])])


def _target(checked: Checked) -> Iterator[str]:
    yield f"{checked.name}: {_WORDS[code([checked])]}{_tally(checked)}"
    yield from _findings(checked)
    for each in checked.not_covered:
        yield f"  {'left out' if each.chosen else 'not covered'}: {_place(each)}: {one_line(each.reason, 400)}"
    for problem in checked.problems:
        yield f"  set-up: {one_line(problem.sentence, 400)}"
        yield f"    fix: {one_line(problem.fix, 400)}"


def _tally(checked: Checked) -> str:
    own = sum(1 for finding in checked.findings if not checked.depth(finding))
    missing = sum(1 for each in checked.not_covered if not each.chosen)
    parts = [counted(own, "finding")] * bool(own) + [f"{missing} not covered"] * bool(missing)
    return f" ({', '.join(parts)})" if parts else ""


def _findings(checked: Checked) -> Iterator[str]:
    """The first of each rule and level; the rest of many is counted."""
    shown: Counter[tuple[str, Level]] = Counter()
    for finding in checked.findings:
        shown[finding.rule, finding.level] += 1
        if shown[finding.rule, finding.level] <= _ALIKE:
            depth = checked.depth(finding)
            yield f"{'  ' * (1 + depth)}{_headline(finding)}"
            if not depth:  # what another finding explains is dealt with there
                yield from _diagnosis(finding)
    for (rule, level), number in shown.items():
        if number > _ALIKE:
            yield f"  and {number - _ALIKE} more {level.word} of {rule} (--json has them all)"


def _headline(finding: Finding) -> str:
    where = "" if finding.database is None else f" [{one_line(finding.database, 63)}]"
    return f"{finding.level.word.upper()} {finding.rule}{where}: {one_line(finding.summary, 400)}"


def _diagnosis(finding: Finding) -> Iterator[str]:
    """Impact, who waits for whom, cause, and what to do: all of it where it burns, else the first step."""
    evidence = finding.evidence
    if evidence.impact:
        yield f"    {one_line(evidence.impact, 1000)}"
    if evidence.cause:
        yield f"    likely cause: {one_line(evidence.cause, 800)}"
    for block in evidence.blocks:
        if block.kind is BlockKind.TREE:
            yield from (f"      {line}" for line in fit_block(block.text, _TREE_CHARS).split("\n"))
    steps = finding.steps if finding.level is Level.CRITICAL else finding.steps[:1]
    for number, step in enumerate(steps, 1):
        yield from step_lines(number, replace(step, text=one_line(step.text, 400)))


def _place(missing: NotCovered) -> str:
    place = "everything" if missing.collector is None else missing.collector
    if missing.database is not None:
        place = f"{place} in database {one_line(missing.database, 63)}"
    return place if missing.rule is None else f"{missing.rule}, from {place}"
