"""Silencing one incident, or expecting what it says, as an action of somebody."""

import glob
from collections.abc import Callable, Iterable
from datetime import timedelta

from alerts.acknowledging import refused
from alerts.silences import LONGEST_S, SilenceRefusedError, Silences
from pgvigil.model.action import Action, ActionKind, Outcome, Result
from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from pgvigil.model.silence import Silence


class Quieting:
    """`follow` has the incidents follow what was changed. For the desk, which does one thing at a time."""

    def __init__(
        self,
        silences: Silences,
        open_incidents: Callable[[], Iterable[Incident]],
        follow: Callable[[], None],
    ) -> None:
        self._silences = silences
        self._open = open_incidents
        self._follow = follow

    def __call__(self, action: Action, incident: Incident) -> Outcome:
        """Raises StoreError; nothing has changed then."""
        refusal = refused(incident)
        if refusal is not None:
            return refusal
        if action.kind is ActionKind.EXPECTED and incident.severity >= Level.CRITICAL:
            return Outcome(Result.REFUSED, incident, f"{incident.name} is critical: that is never expected")
        if action.worst is not None and incident.severity > action.worst:
            sentence = f"{incident.name} is {incident.severity.word} already, worse than {action.worst.word}"
            return Outcome(Result.REFUSED, incident, sentence)
        present = self._silences.covering(incident, action.at)
        if present is not None:
            sentence = f"{present.author} was first: {present.name} keeps {incident.name} quiet already"
            return Outcome(Result.ALREADY, incident, sentence)
        try:
            made = _expectation if action.kind is ActionKind.EXPECTED else _silence
            added = self._silences.add(made(action, incident), self._open)
        except SilenceRefusedError as error:
            return Outcome(Result.REFUSED, incident, str(error))
        self._follow()
        sentence = f"{added.silence.name} by {action.actor.name} keeps {incident.name} quiet"
        return Outcome(Result.DONE, incident, sentence)


def _silence(action: Action, incident: Incident) -> Silence:
    lasts_s = LONGEST_S if action.for_s is None else action.for_s
    return Silence(
        id=0,
        match=(("incident", incident.name),),
        author=action.actor.name,
        reason=action.note or f"silenced in {action.actor.door.value}",
        created_at=action.at,
        ends_at=action.at + timedelta(seconds=min(lasts_s, 10 * LONGEST_S)),
        until_resolved=action.for_s is None,
        worst=action.worst,
    )


def _expectation(action: Action, incident: Incident) -> Silence:
    """Of this fault, also when it comes again, for as long as it is no worse than it is now."""
    about = {"rule": incident.rule, "target": incident.target, "subject": incident.subject}
    if incident.database is not None:
        about["database"] = incident.database
    return Silence(
        id=0,
        match=tuple((key, glob.escape(value)) for key, value in about.items()),
        author=action.actor.name,
        reason=action.note or f"expected, as {incident.name} says",
        created_at=action.at,
        ends_at=action.at + timedelta(seconds=LONGEST_S),
        worst=incident.severity,
    )
