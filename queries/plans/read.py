"""Reads EXPLAIN (FORMAT JSON), also as psql prints it, and what auto_explain logs as JSON."""

import json
import re
from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, NoReturn

from pgvigil.text import one_line
from queries.plans.plan import Path, Plan, PlanError, PlanNode

# The largest honest plans are of thousands of partitions; what is above is not read, so that no text can hold
# the reader up. A depth of 200 is far below where Python's own stack would end.
MAX_CHARS = 32 * 1024 * 1024
MAX_NODES = 20_000
MAX_DEPTH = 200

_FOOT = re.compile(r"|\(\d+ rows?\)|Time: .*")  # what psql writes after the rows


def read(text: str) -> Plan:
    """The plan that `text` holds; raises PlanError for what is none, cut off, too deep or too large."""
    if len(text) > MAX_CHARS:
        raise PlanError(f"the plan is longer than {MAX_CHARS // 1024**2} MB")
    return _of_document(_parsed(_document(text)))


def _document(text: str) -> str:
    """The JSON in `text`: without psql's header and foot, and the `+` at the ends of its aligned lines."""
    lines = text.lstrip("\ufeff").split("\n")
    starts = (at for at, line in enumerate(lines) if line.lstrip()[:1] in {"[", "{"})
    start = next(starts, None)
    if start is None:
        raise PlanError("there is no JSON in it: EXPLAIN (FORMAT JSON) writes a list that begins with [")
    return "\n".join(_without_continuation(line) for line in lines[start:]).lstrip()


def _without_continuation(line: str) -> str:
    """A line of JSON ends in no `+` of its own: strings hold no line ends."""
    bare = line.rstrip()
    return bare[:-1].rstrip() if bare.endswith("+") else bare


def _parsed(document: str) -> Any:
    try:
        value, end = _DECODER.raw_decode(document)
    except json.JSONDecodeError as error:
        raise PlanError(f"this is no valid JSON{_cut(error)} (line {error.lineno}: {error.msg})") from None
    except RecursionError:
        raise PlanError("the JSON is nested too deeply for a plan") from None
    except ValueError as error:
        raise PlanError(f"this is no valid JSON: {one_line(str(error), 100)}") from None
    if not all(_FOOT.fullmatch(line.strip()) for line in document[end:].splitlines()):
        raise PlanError("there is more than one plan in it, or something else after the plan")
    return value


def _cut(error: json.JSONDecodeError) -> str:
    at_end = error.pos >= len(error.doc.rstrip()) - 1 or error.msg.startswith("Unterminated")
    return ": it seems to be cut off" if at_end else ""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number that EXPLAIN writes")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _of_document(document: Any) -> Plan:
    if isinstance(document, list):
        if len(document) != 1:
            raise PlanError(f"EXPLAIN writes a list of one plan; this one has {len(document)}")
        document = document[0]
    if not isinstance(document, dict) or not isinstance(document.get("Plan"), dict):
        raise PlanError('this JSON is no plan: there is no object "Plan" in it')
    root = _Reader().node(document["Plan"], ())
    return Plan(root, _frozen({key: value for key, value in document.items() if key != "Plan"}))


class _Reader:
    """Of one plan: it counts the nodes."""

    def __init__(self) -> None:
        self._count = 0

    def node(self, given: Any, path: Path) -> PlanNode:
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            raise PlanError(f"the plan has more than {MAX_NODES:,} nodes or is deeper than {MAX_DEPTH}")
        if not isinstance(given, dict) or not isinstance(given.get("Node Type"), str):
            raise PlanError('a node of the plan has no "Node Type"')
        _check_numbers(given)
        below = given.get("Plans", [])
        if not isinstance(below, list):
            raise PlanError('"Plans" of a node is not a list')
        children = tuple(self.node(child, (*path, at)) for at, child in enumerate(below))
        return PlanNode(
            path, _frozen({key: value for key, value in given.items() if key != "Plans"}), children
        )


_COUNTED = ("Plan Rows", "Total Cost", "Actual Loops", "Actual Rows", "Actual Total Time")


def _check_numbers(node: dict[str, Any]) -> None:
    """Raises PlanError for a number that is none: all figures are made of these."""
    for key, value in node.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key in _COUNTED and not (number and value >= 0):
            raise PlanError(f"{key!r} of a node is not a number from 0 on")
        if number and not (isfinite(value) and abs(value) < 1e300):
            raise PlanError(f"{one_line(key, 40)!r} of a node is not a finite number")


def _frozen(keys: dict[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(keys)
