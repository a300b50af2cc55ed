"""Options and printing that the commands share."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.settings import Settings, TargetSettings, load
from daemon.settings.errors import nearest
from pgvigil.problems import Problem
from pgvigil.text import one_line
from pgvigil.units import parse_duration_s

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="PGVIGIL_CONFIG", help="The configuration file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

DEFAULT_CONFIG = Path("/etc/pgvigil/pgvigil.toml")


def command_app(help_text: str, *, group: bool = False) -> typer.Typer:
    """An application for the module of a command, or of a `group` of them: it looks like `pgvigil` itself."""
    return typer.Typer(help=help_text, no_args_is_help=group, add_completion=False, rich_markup_mode=None)


def load_settings(file: Path) -> Settings:
    """The settings of `file` and the environment; raises ConfigErrors."""
    return load(file, os.environ)


def chosen_targets(settings: Settings, name: str | None) -> list[TargetSettings]:
    """The target of that name, or all; raises BadParameter for one that is not there."""
    chosen = [each for each in settings.targets if name in (None, each.name)]
    if name is not None and not chosen:
        known = tuple(each.name for each in settings.targets)
        raise typer.BadParameter(f"there is no target {name!r}; {nearest(name, known)}")
    return chosen


def ago_of(since: str) -> float:
    """Seconds that `--since` goes back, at most ten years; raises BadParameter."""
    try:
        return min(parse_duration_s(since), 3650 * 86_400.0)
    except ValueError as error:
        raise typer.BadParameter(f"--since: {error}") from None


def problem_lines(problem: Problem, indent: str = "") -> Iterator[str]:
    """A set-up problem for people: what, what it costs, how to mend it, and where to read more."""
    yield f"{indent}problem: {one_line(problem.sentence, 400)}"
    if problem.why:
        yield f"{indent}  why it matters: {one_line(problem.why, 1000)}"
    yield f"{indent}  fix: {one_line(problem.fix, 400)}"
    yield f"{indent}  see: {problem.docs}"


def matchers(given: Sequence[str]) -> dict[str, list[str]]:
    """What the API takes as `match`; raises BadParameter."""
    match: dict[str, list[str]] = {}
    for each in given:
        key, equals, pattern = each.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"--match {each!r}: write KEY=PATTERN, such as rule=blocking_chain")
        match.setdefault(key, []).append(pattern)
    return match


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))
