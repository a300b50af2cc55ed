"""Another plug-in in the place of one that is there, for the time of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from pgvigil import registry
from pgvigil.plugins import Collector, Rule


@contextmanager
def planted(module: ModuleType, plugin: Collector[object] | Rule[object]) -> Iterator[None]:
    """The registry remembers what it found, so that it has to look again, and once more afterwards."""
    constant = "COLLECTOR" if isinstance(plugin, Collector) else "RULE"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, constant, plugin)
        _look_again()
        try:
            yield
        finally:
            patch.undo()
            _look_again()


def _look_again() -> None:
    registry.collectors.cache_clear()
    registry.rules.cache_clear()
