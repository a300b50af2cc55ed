"""Whether everything was looked at once since the start."""

from collections.abc import Callable, Iterable
from typing import Protocol


class Looker(Protocol):
    """A target, as far as this goes."""

    @property
    def name(self) -> str: ...

    @property
    def looked(self) -> bool: ...


class FirstLook:
    """Called by every outbox. What was looked at once stays so, whatever it does later."""

    def __init__(self, targets: Callable[[], Iterable[Looker]]) -> None:
        self._targets = targets
        self._looked: frozenset[str] = frozenset()

    def __call__(self) -> bool:
        targets = tuple(self._targets())
        looked = {each.name for each in targets if each.name in self._looked or each.looked}
        self._looked = frozenset(looked)
        return len(looked) == len(targets)
