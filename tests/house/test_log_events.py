"""Events are fixed words: what varies stands beside them, so that a search finds them all."""

import ast
import re

from tests.support.source import modules

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
EVENT = re.compile(r"[a-z]+(_[a-z]+)*")


def names(node: ast.expr) -> list[str]:
    """The texts that an expression can be; an empty one for what is not fixed."""
    if isinstance(node, ast.IfExp):
        return [*names(node.body), *names(node.orelse)]
    return [str(node.value)] if isinstance(node, ast.Constant) else [""]


def test_event_names_are_fixed_words() -> None:
    wrong = [
        f"{module.where}:{node.lineno} {ast.unparse(node)}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and ast.unparse(node.func.value) in {"log", "self._log"}
        if not all(EVENT.fullmatch(name) for name in (names(node.args[0]) if node.args else [""]))
    ]
    assert wrong == []
