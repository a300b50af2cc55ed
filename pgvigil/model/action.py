"""What one person, or a program in a person's name, does to one incident."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pgvigil.model.incident import Incident


class Door(StrEnum):
    """By which way somebody came in."""

    SLACK = "slack"
    PAGE = "page"
    CLI = "cli"
    API = "api"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted. `name` is what the door knows for certain, such as the name of a token."""

    name: str
    door: Door


class ActionKind(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`id` is chosen by whoever offers the button: the same one again is the same press of it, and is done once.

    `note` is the actor's own words, as one line.
    """

    id: str
    kind: ActionKind
    incident_id: int
    actor: Actor
    at: datetime
    note: str = ""


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
