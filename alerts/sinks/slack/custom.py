"""A silence in somebody's own words: the form that Slack opens, and what comes back of it; pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.silences import LONGEST_S
from alerts.sinks.slack.blocks import Block
from alerts.sinks.slack.buttons import CUSTOM, plain_text
from alerts.sinks.slack.pressing import BLOCK, Press, actor_of, first_pressed, text_in
from pgvigil.model.action import Action, ActionKind
from pgvigil.model.level import Level
from pgvigil.receiver import NotGenuineError
from pgvigil.text import one_line
from pgvigil.units import format_duration, parse_duration_s

FORM = "pgvigil-silence"
_FOR, _UNTIL, _WORST, _REASON = "for", "until", "worst", "reason"
_VALUE = "value"  # of each block's one element
_RESOLVED = "resolved"
_SHORTEST_S = 60.0
_MOST_REASON = 300
_TITLE_LIMIT = 24


@dataclass(frozen=True, slots=True)
class Opening:
    """Somebody wants the form. Slack opens it for the `trigger`, which is good for three seconds and once."""

    trigger: str
    block_id: str
    channel: str
    thread: str
    user: str
    severity: Level

    @property
    def view(self) -> Block:
        """The form. What it is about travels with it, and comes back signed by Slack."""
        about = {"about": self.block_id, "channel": self.channel, "thread": self.thread}
        title = f"Silence INC-{self.block_id.split(':')[1]}"
        return {
            "type": "modal",
            "callback_id": FORM,
            "private_metadata": json.dumps(about),
            "title": plain_text(title if len(title) <= _TITLE_LIMIT else "Silence"),
            "submit": plain_text("Silence"),
            "close": plain_text("Cancel"),
            "blocks": [_for(), _until(), *_worst(self.severity), _reason()],
        }


@dataclass(frozen=True, slots=True)
class Wrong:
    """What whoever filled in the form should change, by block."""

    errors: Mapping[str, str]

    @property
    def answer(self) -> Mapping[str, Any]:
        return {"response_action": "errors", "errors": dict(self.errors)}


def opening_in(payload: object) -> Opening | None:
    """The wish for the form; None for anything else. Raises NotGenuineError."""
    first = first_pressed(payload)
    word, _, level = text_in(first, "selected_option", "value").partition(":")
    about = BLOCK.fullmatch(text_in(first, "block_id"))
    if about is None or text_in(first, "action_id") != ActionKind.SILENCE or word != CUSTOM:
        return None
    actor = actor_of(payload)
    return Opening(
        trigger=text_in(payload, "trigger_id"),
        block_id=about[0],
        channel=text_in(payload, "channel", "id"),
        thread=text_in(payload, "message", "thread_ts"),
        user=actor.id,
        severity=Level.from_word(level) if level in _WORDS else Level.CRITICAL,
    )


def submitted_in(payload: object, now: datetime) -> Press | Wrong | None:
    """What somebody filled in; None for what is not the form. Raises NotGenuineError for what makes no sense."""
    if text_in(payload, "type") != "view_submission" or text_in(payload, "view", "callback_id") != FORM:
        return None
    about = _about(text_in(payload, "view", "private_metadata"))
    where = BLOCK.fullmatch(text_in(about, "about"))
    view_id = text_in(payload, "view", "id")
    if where is None or not view_id:
        raise NotGenuineError("the form is of nothing that is known here")
    actor = actor_of(payload)
    asked = _asked(payload)
    if isinstance(asked, Wrong):
        return asked
    action = Action(
        id="slack-" + hashlib.sha256(f"{actor.id}\n{view_id}".encode(errors="replace")).hexdigest()[:40],
        kind=ActionKind.SILENCE,
        incident_id=int(where[1]),
        actor=actor,
        at=now,
        note=asked.reason,
        for_s=asked.for_s,
        worst=asked.worst,
        fault=where[2],
    )
    return Press(action, text_in(about, "channel"), text_in(about, "thread"))


@dataclass(frozen=True, slots=True)
class _Asked:
    for_s: float | None
    worst: Level | None
    reason: str


def _asked(payload: object) -> _Asked | Wrong:
    def value(block: str, *keys: str) -> str:
        return text_in(payload, "view", "state", "values", block, _VALUE, *keys).strip()

    resolved = value(_UNTIL, "selected_option", "value") == _RESOLVED
    errors: dict[str, str] = {}
    reason, worst = one_line(value(_REASON, "value"), _MOST_REASON), value(_WORST, "selected_option", "value")
    for_s = None if resolved else _duration_s(value(_FOR, "value"))
    if for_s is None and not resolved:
        errors[_FOR] = f"Write 30m, 2h or 3d: at least 1m, at most {format_duration(LONGEST_S)}."
    if not reason:
        errors[_REASON] = "Say why, for those who look for the alarm."
    if errors:
        return Wrong(errors)
    return _Asked(for_s, Level.from_word(worst) if worst in _WORDS else None, reason)


def _duration_s(text: str) -> float | None:
    try:
        seconds = parse_duration_s(text.replace(" ", ""))
    except ValueError:
        return None
    return seconds if _SHORTEST_S <= seconds <= LONGEST_S else None


def _about(text: str) -> object:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotGenuineError("the form says nothing of what it is about") from error
    return found


# --- its blocks ---------------------------------------------------------------------------------------------


_WORDS = (Level.INFO.word, Level.WARNING.word)  # worse than critical there is nothing


def _for() -> Block:
    element = {
        "type": "plain_text_input",
        "action_id": _VALUE,
        "initial_value": "2h",
        "max_length": 20,
        "placeholder": plain_text("30m, 2h, 3d"),
    }
    return _input(_FOR, "For how long", element, hint=f"At most {format_duration(LONGEST_S)}.")


def _until() -> Block:
    choices = (("for the time above", "time"), ("until it is resolved, 7d at most", _RESOLVED))
    return _input(_UNTIL, "Until", _choice(choices) | {"initial_option": _option(*choices[0])})


def _worst(severity: Level) -> list[Block]:
    """Only what is left: what it is already it may stay."""
    words = [word for word in _WORDS if Level.from_word(word) >= severity]
    if not words:
        return []
    element = _choice([(f"while it is no worse than {word}", word) for word in words])
    return [_input(_WORST, "Only", element | {"placeholder": plain_text("However bad it gets")})]


def _reason() -> Block:
    element = {"type": "plain_text_input", "action_id": _VALUE, "max_length": _MOST_REASON}
    return _input(_REASON, "Why", element, optional=False)


def _input(block_id: str, label: str, element: Block, *, hint: str = "", optional: bool = True) -> Block:
    made = {
        "type": "input",
        "block_id": block_id,
        "label": plain_text(label),
        "element": element,
        "optional": optional,
    }
    return made | {"hint": plain_text(hint)} if hint else made


def _choice(choices: Any) -> Block:
    return {
        "type": "static_select",
        "action_id": _VALUE,
        "options": [_option(text, value) for text, value in choices],
    }


def _option(text: str, value: str) -> Block:
    return {"text": plain_text(text), "value": value}
