"""Our own source, read: for the house tests."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: tuple[str, ...] = tuple(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])


@dataclass(frozen=True, slots=True)
class Module:
    """One file. `name` is dotted, as it is imported (tests: as it would be)."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    def below(self, *prefixes: str) -> bool:
        """Whether the module is one of these, or inside one of these."""
        return any(self.name == prefix or self.name.startswith(prefix + ".") for prefix in prefixes)


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, absolute. `late`: inside a function, so it runs when the function does."""

    name: str
    line: int
    late: bool


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the packages that we ship."""
    return tuple(_read(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))


@cache
def modules_of_tests() -> tuple[Module, ...]:
    return tuple(_read(path) for path in sorted((ROOT / "tests").rglob("*.py")))


def imports(module: Module) -> Iterator[Import]:
    yield from _imports(module.tree, late=False)


def _imports(node: ast.AST, *, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(f"{child.module}.{alias.name}", child.lineno, late) for alias in child.names)
        else:
            inside = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, late=inside)


def _read(path: Path) -> Module:
    relative = path.relative_to(ROOT).with_suffix("")
    parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
    text = path.read_text(encoding="utf-8")
    return Module(path, ".".join(parts), text, ast.parse(text, filename=str(path)))
