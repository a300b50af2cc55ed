"""Who may do what at a door that knows people and asks for no token: Slack."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pgvigil.model.action import QUIETING, Action, ActionKind, Door
from pgvigil.model.incident import Incident
from pgvigil.model.level import Level

LONGEST_OF_ANYBODY_S = 4 * 3600.0  # of a silence over what is critical, while nobody is named


class NotAllowedError(Exception):
    """Says what is missing, to whoever acted."""


@dataclass(frozen=True, slots=True)
class Person:
    """Known at Slack by any of the ids `slack`; `may` holds "act" and "silence"."""

    name: str
    slack: frozenset[str]
    may: frozenset[str]


class People:
    """Without anybody named, everybody who reaches a button may acknowledge and silence; what is critical for 4 h."""

    def __init__(self, people: Sequence[Person] = ()) -> None:
        self._people = tuple(people)

    def admit(self, action: Action, incident: Incident) -> Action:
        """The action, with the actor's name as it is configured. Raises NotAllowedError."""
        if action.actor.door is not Door.SLACK:
            return action
        if not self._people:
            _bear_anybody(action, incident)
            return action
        person = next((one for one in self._people if action.actor.id in one.slack), None)
        needed = "silence" if action.kind in QUIETING else "act"
        if person is None:
            raise NotAllowedError(
                f"you ({action.actor.id}) are not among [[people]] in pgvigil's configuration; nothing was changed"
            )
        if needed not in person.may:
            raise NotAllowedError(
                f'{person.name} may not; [[people]] would have to say may = ["{needed}"]; nothing was changed'
            )
        return replace(action, actor=replace(action.actor, name=person.name))


def _bear_anybody(action: Action, incident: Incident) -> None:
    if action.kind is not ActionKind.SILENCE or incident.severity < Level.CRITICAL:
        return
    if action.for_s is None or action.for_s > LONGEST_OF_ANYBODY_S:
        raise NotAllowedError(
            f"{incident.name} is critical: while [[people]] names nobody, it can be silenced for 4 h at most"
        )
