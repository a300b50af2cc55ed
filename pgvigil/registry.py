"""Finds plug-ins: one file = one constant, named like the file."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


@cache
def _modules(package_name: str) -> tuple[ModuleType, ...]:
    package = importlib.import_module(package_name)
    names = sorted(
        info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")
    )
    return tuple(importlib.import_module(f"{package_name}.{name}") for name in names)


def discover(package_name: str, constant: str, kind: type[T]) -> dict[str, T]:
    """The plug-ins of a package by name, in alphabetical order.

    Every public module of the package must hold `constant`, of type `kind`, whose `name` is the module's;
    anything else raises TypeError, because a half-declared plug-in would be silently absent.
    """
    found: dict[str, T] = {}
    for module in _modules(package_name):
        stem = module.__name__.rpartition(".")[2]
        value = getattr(module, constant, None)
        if not isinstance(value, kind) or getattr(value, "name", None) != stem:
            raise TypeError(f"{module.__name__} must define {constant} = {kind.__name__}(name={stem!r}, ...)")
        found[stem] = value
    return found
