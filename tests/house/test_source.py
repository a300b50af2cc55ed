"""Sizes, boundaries, clocks and comments, as CONTRIBUTING asks for them."""

import ast
import re
import statistics
from collections.abc import Iterator

from tests.support.source import Module, modules, modules_of_tests

FILE_MAX_LINES = 400
FUNCTION_MAX_LINES = 60
FUNCTION_MEDIAN_LINES = 8

# Code of others, or of plug-ins, runs below these: they must go on whatever it throws.
BOUNDARIES = (
    "alerts.engine",
    "alerts.outbox",
    "alerts.sinks",
    "daemon.cli",
    "daemon.clock",
    "daemon.demo",
    "daemon.http",
    "daemon.lanes",
    "daemon.logs",
    "daemon.sinks",
    "daemon.judging",
    "daemon.supervisor",
)
# The process's own clock is read here and injected everywhere else; the fake Slack is a server of its own.
CLOCKS = ("daemon.clock", "daemon.demo")
WALL_CLOCK_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
}


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_files_are_short_enough_to_read() -> None:
    long = {each.where: each.text.count("\n") for each in (*modules(), *modules_of_tests())}
    assert {where: lines for where, lines in long.items() if lines > FILE_MAX_LINES} == {}


def test_functions_are_short_enough_to_see() -> None:
    long = [
        f"{module.where}:{node.lineno} {node.name} has {length(node)} lines"
        for module in (*modules(), *modules_of_tests())
        for node in functions(module)
        if length(node) > FUNCTION_MAX_LINES
    ]
    assert long == []


def test_the_usual_function_is_small() -> None:
    assert (
        statistics.median(length(node) for module in modules() for node in functions(module))
        <= FUNCTION_MEDIAN_LINES
    )


def test_only_boundaries_catch_everything() -> None:
    """Clearing up and raising again is allowed anywhere."""
    caught = [
        f"{module.where}:{node.lineno}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and _broad(node) and not _raises_again(node)
        if not module.below(*BOUNDARIES)
    ]
    assert caught == []


def _broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in kinds)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_the_wall_clock_is_read_in_one_place() -> None:
    read = [
        f"{module.where}:{node.lineno} {ast.unparse(node.func)}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in WALL_CLOCK_CALLS
        if not module.below(*CLOCKS)
    ]
    assert read == []


def test_every_switched_off_check_gives_its_reason() -> None:
    bare = re.compile(r"#\s*noqa(?!: [A-Z]+\d+(?:, ?[A-Z]+\d+)* +(?:-|#) \S)")
    assert _lines_with(bare) == []


def test_no_work_is_left_for_later_in_comments() -> None:
    assert (
        _lines_with(
            re.compile(r"#.*\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
        )
        == []
    )


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{module.where}:{number} {line.strip()}"
        for module in (*modules(), *modules_of_tests())
        for number, line in enumerate(module.text.splitlines(), start=1)
        if pattern.search(line)
    ]
