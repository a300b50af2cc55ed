"""`pgvigil plan`: what EXPLAIN told, read for people."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli.common import AsJson, command_app, print_json
from pgvigil.text import one_line
from queries.plans.issue import PlanIssue, issues, kinds
from queries.plans.measure import Measured
from queries.plans.plan import Plan, PlanError
from queries.plans.read import MAX_CHARS, read
from queries.plans.shape import fingerprint
from queries.plans.tree import milliseconds, text

WIDTH = 110

app = command_app("Read plans of statements.", group=True)

File = Annotated[
    str, typer.Argument(help="A file with EXPLAIN (FORMAT JSON) in it, or - for standard input.")
]

_ONLY_ESTIMATES = (
    "These are estimates: the statement has not run. EXPLAIN (ANALYZE, BUFFERS, SETTINGS, FORMAT JSON) tells what happens,",
    "but it runs the statement: put what writes between BEGIN; and ROLLBACK; and look at its locks first.",
)


@app.callback()
def plan() -> None:
    """Read plans of statements."""


@app.command()
def explain(file: File, *, json: AsJson = False) -> None:
    """Show where a plan spends its time, from EXPLAIN (ANALYZE, BUFFERS, SETTINGS, FORMAT JSON)."""
    found = _plan_of(file)
    measured = Measured(found)
    if json:
        print_json(_described(found, measured))
    else:
        typer.echo("\n".join(_lines(found, measured)))


def _plan_of(file: str) -> Plan:
    try:
        return read(_text_of(file))
    except (PlanError, OSError, UnicodeDecodeError) as error:
        where = "standard input" if file == "-" else file
        raise typer.BadParameter(f"{where}: {error}") from None


def _text_of(file: str) -> str:
    """At most one character more than a plan may have."""
    if file == "-":
        return sys.stdin.read(MAX_CHARS + 1)
    with Path(file).open(encoding="utf-8") as opened:
        return opened.read(MAX_CHARS + 1)


def _lines(found: Plan, measured: Measured) -> Iterator[str]:
    yield text(found, measured)
    yield ""
    yield _summary(found, measured)
    if found.settings:
        settings = ", ".join(f"{name}={value}" for name, value in found.settings.items())
        yield one_line(f"settings that are not the default: {settings}", 500)
    seen = issues(measured)
    if found.ran and not seen:
        yield f"No issue: {len(kinds())} kinds were looked for, see docs/reference/plan-issues.md."
    for number, issue in enumerate(seen, 1):
        yield ""
        yield from _told(number, issue)
    if found.ran and measured.blocks is None:
        yield "Without BUFFERS some kinds of issues cannot be seen, such as a whole table read for few rows: ask for it."
    if not found.ran:
        yield from _ONLY_ESTIMATES
    elif not found.timed:
        yield "Without times (TIMING OFF): the blocks tell where the work is."


def _told(number: int, issue: PlanIssue) -> Iterator[str]:
    sight = issue.sight
    yield f"{number}. {issue.kind.title} ({issue.kind.name})"
    yield f"   at {sight.node.label}{_shares(issue)}"
    for title, said in (("Seen", sight.says), ("Try", sight.advice), ("Verify", sight.verify)):
        yield textwrap.fill(
            f"{title}: {one_line(said, 2000)}", WIDTH, initial_indent="   ", subsequent_indent="     "
        )


def _shares(issue: PlanIssue) -> str:
    told = ((issue.share_of_time, "time"), (issue.share_of_blocks, "blocks"))
    shares = [f"{share:.0%} of the {what}" for share, what in told if share is not None]
    return f": {' and '.join(shares)}" if shares else ""


def _summary(found: Plan, measured: Measured) -> str:
    planning, execution = found.number("Planning Time"), found.execution_ms
    parts = [
        f"shape {fingerprint(found)}",
        "" if planning is None else f"planning {milliseconds(planning)}",
        "" if execution is None else f"execution {milliseconds(execution)}",
        "" if measured.blocks is None else f"{measured.blocks:,.0f} blocks",
    ]
    return ", ".join(filter(None, parts))


def _described(found: Plan, measured: Measured) -> dict[str, Any]:
    return {
        "shape": fingerprint(found),
        "ran": found.ran,
        "planning_ms": found.number("Planning Time"),
        "execution_ms": found.execution_ms,
        "blocks": measured.blocks,
        "settings": dict(found.settings),
        "issues": [
            {
                "name": issue.kind.name,
                "path": list(issue.sight.node.path),
                "node": issue.sight.node.label,
                "share_of_time": issue.share_of_time,
                "share_of_blocks": issue.share_of_blocks,
                "says": issue.sight.says,
                "advice": issue.sight.advice,
                "verify": issue.sight.verify,
                "evidence": dict(issue.sight.evidence),
            }
            for issue in issues(measured)
        ],
        "nodes": [
            {
                "path": list(node.path),
                "node": node.label,
                "rows": node.actual_rows,
                "rows_expected": node.planned_rows * max(node.loops, 1.0),
                "time_ms": measured[node].time_ms,
                "own_ms": measured[node].own_ms,
                "blocks": measured[node].blocks,
                "own_blocks": measured[node].own_blocks,
                "share_of_time": measured.share_of_time(node),
                "share_of_blocks": measured.share_of_blocks(node),
                "share_of_cost": measured.share_of_cost(node),
            }
            for node in found.nodes()
        ],
    }
