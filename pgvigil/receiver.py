"""What a sink may offer beside itself: to hear from people."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pgvigil.model.action import Action, Outcome


class NotGenuineError(Exception):
    """What came in is not from whom it says, is too old, or cannot be understood. Safe to show."""


class Receiver(Protocol):
    """Hears from people at one destination. It only makes Actions; where a press is done is one place for all."""

    @property
    def age_s(self) -> float:
        """How long ago its loop last turned; 0 while it does not run."""

    def start(self, act: Callable[[Action], Outcome]) -> None:
        """Begin to hear, in threads of its own. `act` may raise; nothing has changed then."""

    def take(self, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any] | None:
        """What came in by HTTP, with lower-case names of headers; returns before it is done, with what is to be answered
        as JSON, if anything is. Raises NotGenuineError, or BlockingIOError when there is too much to do.
        """

    def stop(self, within_s: float) -> None:
        """Hear no more; what is being done ends first, if it does so in time."""
