"""`pgvigil doctor`: what people should change so that pgvigil sees everything and reaches everyone."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Annotated, Any

import typer

from alerts.grading import counted
from daemon.checking.doctor import BLOCKING, Examination
from daemon.cli import codes
from daemon.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigFile,
    chosen_targets,
    command_app,
    load_settings,
    print_json,
    problem_lines,
)
from daemon.doctor.checks import Checked
from daemon.jsonable import problem as problem_object
from daemon.settings import ConfigErrors
from daemon.settings.errors import ConfigError
from pgvigil.problems import Problem
from pgvigil.text import one_line

app = command_app("Find what is wrong with the set-up, here and at the targets.")


@app.command()
def doctor(
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    target: Annotated[
        str | None, typer.Option(help="Only this target, and nothing of pgvigil's own set-up.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Find what is wrong with the set-up, here and at the targets, and say how to mend it.

    Looks at every target, every sink and pgvigil's own configuration; changes, stores and sends nothing, and does
    not mind whether the daemon runs. Run it as the user that runs the daemon: files that this user cannot read, or a
    store that it cannot write, are problems too.

    Exit code: 64 when the daemon cannot run like this, else 3 when a target or sink could not be looked at, else 1
    when there are problems, else 0.
    """
    from daemon import logs

    try:
        settings = load_settings(config)
    except ConfigErrors as errors:
        if not json:
            raise
        print_json(_as_object([_refused(errors.errors)]))
        raise typer.Exit(codes.SETUP) from None
    targets = chosen_targets(settings, target)
    if sys.stderr.isatty():
        typer.echo(f"looking at {counted(len(targets), 'target')} ...", err=True)
    flush = logs.configure(settings.daemon.log_format, "error")
    try:
        checks = Examination(settings).over(targets, own=target is None)
    finally:
        flush()
    if json:
        print_json(_as_object(checks))
    else:
        typer.echo("\n".join(report(checks)))
    raise typer.Exit(code(checks))


def code(checks: Iterable[Checked]) -> int:
    """Not to know comes before what is known: a list of problems that has gaps is not the list."""
    checks = tuple(checks)
    if any(problem.slug in BLOCKING for each in checks for problem in each.problems):
        return codes.SETUP
    if any(each.why_not and not each.explained for each in checks):
        return codes.UNKNOWN
    return codes.WARNING if any(each.problems for each in checks) else codes.OK


def report(checks: Sequence[Checked]) -> Iterator[str]:
    """For people: by target, what works, what does not and how to mend it, and what nobody could tell."""
    groups = [(name, list(group)) for name, group in groupby(checks, key=lambda each: each.target)]
    for number, (name, group) in enumerate(groups):
        if number:
            yield ""
        yield from _group(name or "pgvigil", group)


def _group(name: str, group: Sequence[Checked]) -> Iterator[str]:
    problems = _problems(group)
    missing = [each for each in group if each.why_not]
    parts = [counted(len(group), "check"), counted(len(problems), "problem") if problems else "no problem"]
    parts += [f"{len(missing)} could not be looked at"] * bool(missing)
    yield f"{name}: {', '.join(parts)}"
    well = [each.check for each in group if not each.problems and not each.why_not]
    if well:
        yield f"  ok: {', '.join(well)}"
    for problem in problems:
        yield from problem_lines(problem, "  ")
    for each in missing:
        yield f"  could not look at {one_line(each.check, 200)}: {one_line(each.why_not, 400)}"
        if each.target and each.check == "connection":
            yield f"    `pgvigil check --target {each.target}` says what it means and what to do"


def _problems(checks: Iterable[Checked]) -> tuple[Problem, ...]:
    """Each once, in the order of the checks."""
    return tuple(dict.fromkeys(problem for each in checks for problem in each.problems))


# --- for programs -----------------------------------------------------------------------------------------


def _as_object(checks: Sequence[Checked]) -> dict[str, Any]:
    return {
        "problems": [problem_object(problem) for problem in _problems(checks)],
        "checked": [
            {"target": each.target, "check": each.check, "ok": not each.problems}
            for each in checks
            if not each.why_not
        ],
        "not_checked": [
            {"target": each.target, "check": each.check, "reason": each.why_not}
            for each in checks
            if each.why_not
        ],
    }


def _refused(errors: Iterable[ConfigError]) -> Checked:
    return Checked(target=None, check="configuration", problems=tuple(map(_config_error, errors)))


def _config_error(error: ConfigError) -> Problem:
    return Problem(
        slug="config-error",
        sentence=f"The configuration cannot be used: {error}.",
        why="pgvigil does not start with it; one that runs goes on with the configuration before.",
        fix="Correct it; `pgvigil config check` shows every error at once.",
    )
