"""What targets say of themselves as a whole, for the engines of the others."""

import threading
from collections.abc import Mapping, Sequence

from pgvigil.model.incident import Incident


class Elsewhere:
    """Written by each engine, read by all at each evaluation: reading takes no lock, and costs what there is to say."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: Mapping[str, tuple[Incident, ...]] = {}  # replaced as a whole

    def say(self, target: str, incidents: tuple[Incident, ...]) -> None:
        """Instead of what that target said before."""
        if incidents == self._said.get(target, ()):
            return
        with self._lock:
            others = {name: said for name, said in self._said.items() if name != target}
            self._said = {**others, target: incidents} if incidents else others

    def beyond(self, target: str) -> Sequence[Incident]:
        """What all others say."""
        said = self._said
        return (
            [each for name, incidents in said.items() if name != target for each in incidents] if said else ()
        )
