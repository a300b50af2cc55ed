"""What one person, or a program in a person's name, does to one incident."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pgvigil.model.incident import Incident
from pgvigil.model.level import Level


class Door(StrEnum):
    """By which way somebody came in."""

    SLACK = "slack"
    PAGE = "page"
    CLI = "cli"
    API = "api"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted. `name` is what the door knows for certain, such as the name of a token. `id` is what the door itself
    knows a person by, where people have such a thing: Slack's id of a user.
    """

    name: str
    door: Door
    id: str = ""


class ActionKind(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    REFRESH = "refresh"
    SILENCE = "silence"
    EXPECTED = "expected"
    USEFUL = "useful"
    NOISE = "noise"


QUIETING = (ActionKind.SILENCE, ActionKind.EXPECTED)
FEEDBACK = (ActionKind.USEFUL, ActionKind.NOISE)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What people say of the incidents of one rule that are remembered; of each person the last word on each counts."""

    rule: str
    incidents: int
    useful: int
    noise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`id` is chosen by whoever offers the button: the same one again is the same press of it, and is done once.

    `note` is the actor's own words, as one line. `for_s` is how long a silence lasts; None is until it is resolved.
    `worst` is the severity up to which a silence holds; None is whatever comes.
    `fault` is what `fault_of` said of the incident that the button was made for, where the door knows it: in a new store
    its number may be another one's.
    """

    id: str
    kind: ActionKind
    incident_id: int
    actor: Actor
    at: datetime
    note: str = ""
    for_s: float | None = None
    worst: Level | None = None
    fault: str = ""


class Result(StrEnum):
    DONE = "done"
    ALREADY = "already"  # somebody was first, or it is this very action again: nothing changed
    REFUSED = "refused"  # it cannot be done to this incident


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action, with the incident as it is now; `sentence` is for whoever acted."""

    result: Result
    incident: Incident
    sentence: str


def fault_of(incident: Incident) -> str:
    """Tells an incident from another of the same number, in another store."""
    return hashlib.sha256(incident.fingerprint.encode(errors="replace")).hexdigest()[:16]
