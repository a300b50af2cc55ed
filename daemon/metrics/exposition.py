"""The text of /metrics: rendered per target and section when that changes, joined at the scrape."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client.core import Metric

from daemon.board import Board, TargetView
from daemon.metrics.families import SECTIONS, Section
from daemon.metrics.text import split

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
            families: defaultdict[str, list[str]] = defaultdict(list)
            for view in views:
                for section in SECTIONS:
                    for header, samples in self._rendered(view, section):
                        families[header].append(samples)
                for each in view.vitals:
                    families[each.header].append(each.samples)
        for family in self._own():
            header, samples = split(family)
            families[header].append(samples)
        return "".join(
            header + "".join(samples) for header, samples in families.items() if any(samples)
        ).encode()

    def _rendered(self, view: TargetView, section: Section) -> list[tuple[str, str]]:
        key, sample = (view.name, section.name), section.sample(view)
        cached = self._cache.get(key)
        if cached is not None and cached[0] == sample:
            return cached[1]
        parts = [split(family) for family in section.render(view)]
        self._cache[key] = (sample, parts)
        return parts

    def _forget(self, present: set[str]) -> None:
        for key in [key for key in self._cache if key[0] not in present]:
            del self._cache[key]
