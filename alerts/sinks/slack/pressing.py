"""What Slack sends when somebody presses a button, read as an Action. Whatever does not fit is refused; pure."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from alerts.sinks.slack.buttons import UNTIL_RESOLVED
from pgvigil.model.action import Action, ActionKind, Actor, Door
from pgvigil.receiver import NotGenuineError
from pgvigil.text import one_line
from pgvigil.units import parse_duration_s

BLOCK = re.compile(r"pgvigil:([0-9]{1,15}):([0-9a-f]{16}):[0-9]{1,15}")
_USER = re.compile(r"[A-Z0-9]{2,30}")
_MOST_NAME = 60


@dataclass(frozen=True, slots=True)
class Press:
    """An action, and where whoever pressed can be answered."""

    action: Action
    channel: str
    thread: str


def press_in(payload: object, now: datetime) -> Press | None:
    """The press of one of our buttons; None for what is not ours. Raises NotGenuineError for what makes no sense.

    Slack sends a press again when it has heard no answer: it has the same id then.
    """
    first = first_pressed(payload)
    where = BLOCK.fullmatch(text_in(first, "block_id"))
    if where is None:
        return None
    kind, value = text_in(first, "action_id"), _chosen(first)
    if kind not in tuple(ActionKind):
        return None
    actor = actor_of(payload)
    unique = "\n".join((actor.id, where[0], kind, value, text_in(first, "action_ts")))
    action = Action(
        id="slack-" + hashlib.sha256(unique.encode(errors="replace")).hexdigest()[:40],
        kind=ActionKind(kind),
        incident_id=int(where[1]),
        actor=actor,
        at=now,
        for_s=_for_s(value) if kind == ActionKind.SILENCE else None,
        fault=where[2],
    )
    return Press(action, text_in(payload, "channel", "id"), text_in(payload, "message", "thread_ts"))


def first_pressed(payload: object) -> object:
    """What was pressed, where it is a press. Raises NotGenuineError for no payload at all."""
    if not isinstance(payload, Mapping):
        raise NotGenuineError("the payload is no object")
    pressed = payload.get("actions")
    if payload.get("type") != "block_actions" or not isinstance(pressed, list) or not pressed:
        return None
    found: object = pressed[0]
    return found


def actor_of(payload: object) -> Actor:
    """Who it was. Raises NotGenuineError."""
    user_id = text_in(payload, "user", "id")
    if not _USER.fullmatch(user_id):
        raise NotGenuineError("the payload names nobody who pressed")
    name = one_line(text_in(payload, "user", "username") or text_in(payload, "user", "name"), _MOST_NAME)
    return Actor(name or user_id, Door.SLACK, user_id)


def text_in(node: object, *keys: str) -> str:
    """The text at the end of that path; "" where there is none, whatever else there is."""
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node if isinstance(node, str) else ""


def _chosen(pressed: object) -> str:
    return text_in(pressed, "selected_option", "value") or text_in(pressed, "value")


def _for_s(value: str) -> float | None:
    if value == UNTIL_RESOLVED:
        return None
    try:
        return parse_duration_s(value)
    except ValueError as error:
        raise NotGenuineError("the payload names no duration") from error
