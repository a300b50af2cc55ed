"""What the clock calls for one target."""

import zlib
from collections.abc import Callable

from daemon.clock import Ticker


class Ticks:
    """The first cycle comes within `spread_s`, at a moment that the target's name decides."""

    def __init__(self, ticker: Ticker, target: str, spread_s: float) -> None:
        self._ticker = ticker
        self._target = target
        self._first_s = spread_s * (zlib.crc32(target.encode()) % 1000) / 1000
        self._names: set[str] = set()

    def every(self, key: str, interval_s: float, tick: Callable[[], None], *, after_s: float = 0.0) -> None:
        """Call `tick` every `interval_s` from now on, instead of what `key` called before."""
        self.cancel(key)
        self._names.add(key)
        self._ticker.every(self._name(key), interval_s, tick, first_after_s=self._first_s + after_s)

    def cancel(self, key: str) -> None:
        if key in self._names:
            self._names.discard(key)
            self._ticker.cancel(self._name(key))

    def cancel_all(self) -> None:
        for key in tuple(self._names):
            self.cancel(key)

    def _name(self, key: str) -> str:
        return f"{self._target}/{key}"
