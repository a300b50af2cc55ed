"""One family as Prometheus text."""

import sys
from collections.abc import Iterator

from prometheus_client import generate_latest
from prometheus_client.core import Metric


class _One:
    """A registry of a single family, which is all that generate_latest needs."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def split(family: Metric) -> tuple[str, str]:
    """The family's two header lines, of which all targets share one copy, and its sample lines."""
    text = generate_latest(_One(family)).decode()
    end = text.index("\n", text.index("\n") + 1) + 1
    return sys.intern(text[:end]), text[end:]
