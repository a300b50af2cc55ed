"""What Slack sends when somebody presses a button, read as an Action. Whatever does not fit is refused; pure."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.sinks.slack.buttons import UNTIL_RESOLVED
from pgvigil.model.action import Action, ActionKind, Actor, Door
from pgvigil.receiver import NotGenuineError
from pgvigil.text import one_line
from pgvigil.units import parse_duration_s

_BLOCK = re.compile(r"pgvigil:([0-9]{1,15}):([0-9a-f]{16}):[0-9]{1,15}")
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
    if not isinstance(payload, Mapping):
        raise NotGenuineError("the payload is no object")
    pressed = payload.get("actions")
    if payload.get("type") != "block_actions" or not isinstance(pressed, list) or not pressed:
        return None
    first = pressed[0]
    where = _BLOCK.fullmatch(_text(first, "block_id"))
    if where is None:
        return None
    kind, value = _text(first, "action_id"), _chosen(first)
    if kind not in tuple(ActionKind):
        return None
    actor = _actor(payload.get("user"))
    unique = "\n".join((actor.id, where[0], kind, value, _text(first, "action_ts")))
    action = Action(
        id="slack-" + hashlib.sha256(unique.encode(errors="replace")).hexdigest()[:40],
        kind=ActionKind(kind),
        incident_id=int(where[1]),
        actor=actor,
        at=now,
        for_s=_for_s(value) if kind == ActionKind.SILENCE else None,
        fault=where[2],
    )
    message = payload.get("message")
    thread = _text(message, "thread_ts") if isinstance(message, Mapping) else ""
    return Press(action, _text(payload.get("channel"), "id"), thread)


def _actor(user: object) -> Actor:
    user_id = _text(user, "id")
    if not _USER.fullmatch(user_id):
        raise NotGenuineError("the payload names nobody who pressed")
    name = one_line(_text(user, "username") or _text(user, "name"), _MOST_NAME)
    return Actor(name or user_id, Door.SLACK, user_id)


def _chosen(pressed: object) -> str:
    option = pressed.get("selected_option") if isinstance(pressed, Mapping) else None
    return _text(option if isinstance(option, Mapping) else pressed, "value")


def _for_s(value: str) -> float | None:
    if value == UNTIL_RESOLVED:
        return None
    try:
        return parse_duration_s(value)
    except ValueError as error:
        raise NotGenuineError("the payload names no duration") from error


def _text(node: Any, key: str) -> str:
    value = node.get(key) if isinstance(node, Mapping) else None
    return value if isinstance(value, str) else ""
