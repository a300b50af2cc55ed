"""The reference pages of metrics and problems: read from the source, where each is written once."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from daemon.settings.generate.reference import GENERATED, table
from pgvigil.plugins import Collector, LaneKind

PACKAGES = ("pgvigil", "collectors", "queries", "schemas", "alerts", "daemon")
_SUFFIXES = {
    "_gauge": "",
    "_counter": "_total",
    "GaugeMetricFamily": "",
    "CounterMetricFamily": "_total",
    "HistogramMetricFamily": "",
    "InfoMetricFamily": "_info",
}


class ProblemDoc(NamedTuple):
    """What the source says of one kind of problem; what is filled in at run time is in angle brackets."""

    slug: str
    sentence: str
    why: str
    fix: str


def problems(root: Path) -> str:
    """docs/reference/problems.md: every Problem(slug=...) of the source."""
    found = problem_docs(root)
    parts = [GENERATED + _PROBLEMS]
    seen = ""
    for problem in found:
        title = "" if problem.slug == seen else f"## {problem.slug}\n\n"
        seen = problem.slug
        why = f"**Why it matters.** {problem.why}\n\n" if problem.why else ""
        parts.append(f"{title}{problem.sentence}\n\n{why}**Fix.** {problem.fix}\n")
    return "\n".join(parts)


def problem_docs(root: Path) -> list[ProblemDoc]:
    """Every Problem(slug=...) of the source, by slug."""
    return sorted({problem for tree in _trees(root, PACKAGES) for problem in _problems(tree)})


def metrics(root: Path, collectors: Mapping[str, Collector[Any]]) -> str:
    """docs/reference/metrics.md: every family that daemon/metrics or a collector declares."""
    declared = {row for collector in collectors.values() for row in _declared(collector)}
    rows = sorted({row for tree in _trees(root, ("daemon/metrics",)) for row in _families(tree)} | declared)
    return f"{GENERATED}{_METRICS}\n" + table(("metric", "labels", "meaning", "from"), rows)


def _declared(collector: Collector[Any]) -> Iterator[tuple[str, str, str, str]]:
    first = ("target",) if collector.lane is LaneKind.SERVER else ("target", "database")
    for family in collector.families:
        name = f"`pgvigil_{family.name}{'_total' * family.counter}`"
        labels = ", ".join((*first, *family.labels))
        yield name, labels, family.help, f"collector `{collector.name}`"


def _trees(root: Path, folders: tuple[str, ...]) -> Iterator[ast.Module]:
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node


def _problems(tree: ast.Module) -> Iterator[ProblemDoc]:
    for name, call in _calls(tree):
        given: Mapping[str | None, ast.expr] = {keyword.arg: keyword.value for keyword in call.keywords}
        slug = given.get("slug")
        if name == "Problem" and isinstance(slug, ast.Constant):
            yield ProblemDoc(
                str(slug.value),
                *(_template(given[key]) if key in given else "" for key in ("sentence", "why", "fix")),
            )


def _families(tree: ast.Module) -> Iterator[tuple[str, str, str, str]]:
    for name, call in _calls(tree):
        texts = [arg.value for arg in call.args[:2] if isinstance(arg, ast.Constant)]
        if name in _SUFFIXES and len(texts) == 2:
            family = "pgvigil_" + str(texts[0]).removeprefix("pgvigil_")
            yield f"`{family}{_SUFFIXES[name]}`", "", str(texts[1]), "pgvigil"


def _template(node: ast.expr) -> str:
    """The text of a literal, with what is filled in at run time in angle brackets."""
    if isinstance(node, ast.JoinedStr):
        text = "".join(_template(part) for part in node.values)
    elif isinstance(node, ast.FormattedValue):
        text = f"<{_last_name(node.value)}>"
    elif isinstance(node, ast.BinOp):
        text = _template(node.left) + _template(node.right)
    elif isinstance(node, ast.IfExp):
        text = f"{_template(node.body)}\n\n**Or.** {_template(node.orelse)}"
    elif isinstance(node, ast.Constant):
        text = str(node.value)
    else:
        text = f"<{_last_name(node)}>"
    return text


def _last_name(node: ast.expr) -> str:
    """`error.strerror or error` becomes `strerror`: the first name's last part says most."""
    words = re.findall(r"[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_][A-Za-z_0-9]*)*", ast.unparse(node))
    return words[0].rpartition(".")[2] if words else "value"


_PROBLEMS = """\
# Problems

What people must change, by the slug that stands in logs, in the API and in `pgvigil_setup_problems`. Words in angle
brackets are filled in.
"""
_METRICS = """\
# Metrics

What `/metrics` shows. Base units, `_total` for counters; stamps instead of ages.
"""
