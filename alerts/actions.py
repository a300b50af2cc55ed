"""The one place where what people do to incidents is done, whichever way they came in."""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from alerts.acknowledging import refused
from alerts.people import NotAllowedError, People
from pgvigil.model.action import FEEDBACK, QUIETING, Action, ActionKind, Outcome, Result, fault_of
from pgvigil.model.incident import Incident, State


class ActionStore(Protocol):
    """What the desk needs of the store. All raise StoreError."""

    def action(self, action_id: str) -> Action | None:
        """The action of that id, if it was done."""

    def get(self, incident_id: int) -> Incident | None: ...

    def verdict(self, incident_id: int, actor: str) -> ActionKind | None:
        """What somebody said last of an incident: useful, noise, or nothing."""

    def note(self, action: Action) -> None: ...


class NoSuchIncidentError(Exception):
    """There is no incident of that number, or not any more."""


class Desk:
    """Thread-safe; one action at a time, so that of two people one is first and the other hears who was.

    `perform(target, action)` has the engine of that target do it; None when nobody watches the target any more, or
    its engine has forgotten the incident. `silence` has an incident kept quiet; `people` are asked each time.
    """

    def __init__(
        self,
        store: ActionStore,
        perform: Callable[[str, Action], Outcome | None],
        *,
        silence: Callable[[Action, Incident], Outcome] | None = None,
        people: Callable[[], People] = People,
    ) -> None:
        self._store = store
        self._perform = perform
        self._silence = silence
        self._people = people
        self._lock = threading.Lock()
        self._feedback: Mapping[tuple[str, str], int] = {}

    @property
    def feedback(self) -> Mapping[tuple[str, str], int]:
        """How often people said useful or noise since the start, by rule and verdict."""
        return self._feedback

    def act(self, action: Action) -> Outcome:
        """Do it once, and write it with the incident's history before it holds.

        Raises NoSuchIncidentError, and StoreError when it could not be written: nothing has changed then.
        """
        with self._lock:
            incident = self._store.get(action.incident_id)
            if incident is None:
                raise NoSuchIncidentError(f"there is no incident INC-{action.incident_id}")
            earlier = self._store.action(action.id)
            if earlier is not None:
                return Outcome(Result.ALREADY, incident, _again(earlier, action))
            return self._done(action, incident)

    def _done(self, action: Action, incident: Incident) -> Outcome:
        if action.fault not in ("", fault_of(incident)):
            return Outcome(
                Result.REFUSED, incident, "this message is of another pgvigil, or of an older store"
            )
        try:
            action = self._people().admit(action, incident)
        except NotAllowedError as error:
            return Outcome(Result.REFUSED, incident, str(error))
        if action.kind in QUIETING and self._silence is not None:
            return self._silence(action, incident)
        if action.kind in FEEDBACK:
            return self._rate(action, incident)
        outcome = self._perform(incident.target, action)
        return outcome or refused(incident) or _unwatched(incident)

    def _rate(self, action: Action, incident: Incident) -> Outcome:
        """Also of what is over: that is when people know."""
        if incident.state is State.PENDING:
            return Outcome(
                Result.REFUSED, incident, f"{incident.name} has not fired: nobody was told of it yet"
            )
        said = f"{incident.name} is {action.kind.value} to {action.actor.name}"
        if self._store.verdict(incident.id, action.actor.name) is action.kind:
            return Outcome(Result.ALREADY, incident, f"{said} already")
        self._store.note(action)
        key = (incident.rule, action.kind.value)
        self._feedback = {**self._feedback, key: self._feedback.get(key, 0) + 1}
        return Outcome(Result.DONE, incident, f"{said}: thank you")


def _again(earlier: Action, action: Action) -> str:
    if (earlier.kind, earlier.incident_id) != (action.kind, action.incident_id):
        return f"the action {action.id} was another one: {earlier.kind} INC-{earlier.incident_id}; nothing was done"
    return f"this was done already, by {earlier.actor.name} at {earlier.at:%H:%M:%S}Z"


def _unwatched(incident: Incident) -> Outcome:
    return Outcome(
        Result.REFUSED, incident, f"{incident.target} is no longer watched: {incident.name} ends shortly"
    )
