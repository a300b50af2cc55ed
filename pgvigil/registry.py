"""Finds plug-ins: one file = one constant, named like the file. The one place that knows all of them.

A check of `schemas/checks/` is a file too: its rule is made of the file's header.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

from pgvigil.plugins import Collector, Rule, SinkKind

T = TypeVar("T")

_COLLECTORS = ("collectors", "schemas.collectors")
_RULES = "alerts.rules"
_RULES_OF_CHECKS = "alerts.rules._checks"
_SINKS = "alerts.sinks"


@cache
def collectors() -> Mapping[str, Collector[Any]]:
    """Every collector by name, in alphabetical order."""
    return _united(*(discover(package, "COLLECTOR", Collector) for package in _COLLECTORS))


@cache
def rules() -> Mapping[str, Rule[Any]]:
    """Every rule by name, in alphabetical order: those of files of their own, and those of checks."""
    of_checks: Mapping[str, Rule[Any]] = importlib.import_module(_RULES_OF_CHECKS).RULES
    return _united(discover(_RULES, "RULE", Rule), of_checks)


@cache
def sinks() -> Mapping[str, SinkKind]:
    """Every kind of sink by name, in alphabetical order."""
    return _united(discover(_SINKS, "SINK", SinkKind))


def _united(*parts: Mapping[str, T]) -> Mapping[str, T]:
    """Raises TypeError when two parts have a plug-in of one name."""
    names = sorted(name for part in parts for name in part)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TypeError(f"two plug-ins have one name: {', '.join(twice)}")
    found = {name: each for part in parts for name, each in part.items()}
    return MappingProxyType({name: found[name] for name in names})


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
