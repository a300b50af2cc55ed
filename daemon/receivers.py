"""What hears from people: built, replaced and left as the configuration says."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import structlog

from daemon.clock import Now
from daemon.settings.settings import Settings
from daemon.sinks import built, secrets_of
from daemon.supervisor import Loop
from pgvigil.model.action import Action, Outcome
from pgvigil.receiver import Receiver

log = structlog.get_logger(__name__)

LIMIT_S = 120.0  # its calls have deadlines far below this
_LEAVE_S = 0.5


class Heard(NamedTuple):
    """A receiver, and all that it was built of."""

    receiver: Receiver
    made_of: tuple[Any, ...]


class Receivers:
    """By the sink's name. What readers see is replaced as a whole."""

    def __init__(self, now: Now, act: Callable[[Action], Outcome]) -> None:
        self._now = now
        self._act = act
        self._heard: Mapping[str, Heard] = {}

    @property
    def all(self) -> Mapping[str, Receiver]:
        return {name: one.receiver for name, one in self._heard.items()}

    def loops(self) -> list[Loop]:
        """For the supervisor."""
        return [Loop(f"receiver {name}", partial(_age_s, one), LIMIT_S) for name, one in self.all.items()]

    def prepare(self, settings: Settings) -> Mapping[str, Heard]:
        """Those that `settings` ask for, unchanged ones as they are; none hears yet. Raises SetupError."""
        found: dict[str, Heard] = {}
        for name, bound in settings.sinks.items():
            made_of = (bound.kind.name, bound.params, tuple(secrets_of(bound.params)))
            present = self._heard.get(name)
            if present is not None and present.made_of == made_of:
                found[name] = present
            elif bound.kind.receive is not None:
                receiver = built(name, partial(bound.kind.receive, name, bound.params, self._now))
                if receiver is not None:
                    found[name] = Heard(receiver, made_of)
        return found

    def replace(self, heard: Mapping[str, Heard]) -> None:
        """Go over to `heard`. One whose threads cannot be had is left out, loudly."""
        before, begun = self._heard, dict(heard)
        for name, one in heard.items():
            if before.get(name) is not one:
                try:
                    one.receiver.start(self._act)
                except RuntimeError as error:
                    log.warning("receiver_not_started", sink=name, error=str(error))
                    del begun[name]
        self._heard = begun
        for name, one in before.items():
            if begun.get(name) is not one:
                one.receiver.stop(_LEAVE_S)

    def stop(self) -> None:
        self.replace({})


def _age_s(receiver: Receiver) -> float:
    return receiver.age_s
