"""The text of /metrics: rendered per target and section when that changes, joined at the scrape."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import Metric

from daemon.board import Board, TargetView
from daemon.metrics.families import SECTIONS, Section

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _One:
    """A registry of a single family, which is all that generate_latest needs."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _split(family: Metric) -> tuple[str, str]:
    """The family's two header lines and its sample lines."""
    text = generate_latest(_One(family)).decode()
    lines = text.splitlines(keepends=True)
    return "".join(lines[:2]), "".join(lines[2:])


class Exposition:
    """Thread-safe. The samples of one family stand together, as the format demands."""

    def __init__(self, board: Board, own: Callable[[], Sequence[Metric]]) -> None:
        self._board = board
        self._own = own
        self._lock = threading.Lock()
        self._cache: dict[tuple[str, str], tuple[Any, list[tuple[str, str]]]] = {}

    def text(self) -> bytes:
        """All that is known now, in the Prometheus text format."""
        with self._lock:
            views = self._board.targets
            self._forget({view.name for view in views})
            families: dict[str, list[str]] = {}
            for view in views:
                for section in SECTIONS:
                    for header, samples in self._rendered(view, section):
                        families.setdefault(header, []).append(samples)
        for family in self._own():
            header, samples = _split(family)
            families.setdefault(header, []).append(samples)
        return "".join(
            header + "".join(samples) for header, samples in families.items() if any(samples)
        ).encode()

    def _rendered(self, view: TargetView, section: Section) -> list[tuple[str, str]]:
        key, sample = (view.name, section.name), section.sample(view)
        cached = self._cache.get(key)
        if cached is not None and cached[0] == sample:
            return cached[1]
        parts = [_split(family) for family in section.render(view)]
        self._cache[key] = (sample, parts)
        return parts

    def _forget(self, present: set[str]) -> None:
        for key in [key for key in self._cache if key[0] not in present]:
            del self._cache[key]
