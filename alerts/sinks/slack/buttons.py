"""The buttons under a message. Which incident they are about stands in the block's id; pure."""

from alerts.sinks.slack.blocks import Block
from pgvigil.model.action import ActionKind, fault_of
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level

_FOR = (("1 hour", "1h"), ("4 hours", "4h"), ("24 hours", "24h"))
UNTIL_RESOLVED = "resolved"
CUSTOM = "custom"  # with the severity behind it, which the form goes by


def buttons(incident: Incident) -> list[Block]:
    """What people can do now; of what is over they can still say whether it was of use."""
    if incident.state is State.PENDING:
        return []
    elements = []
    if incident.state is not State.RESOLVED:
        elements.append(_acknowledge(incident))
        if not incident.silenced_by:
            elements.append(_silence(incident))
            if incident.severity < Level.CRITICAL:
                elements.append(_button(ActionKind.EXPECTED, "Expected"))
        elements.append(_button(ActionKind.REFRESH, "Refresh evidence"))
    elements += [_button(ActionKind.USEFUL, "Useful"), _button(ActionKind.NOISE, "Noise")]
    block_id = f"pgvigil:{incident.id}:{fault_of(incident)}:{incident.version}"
    return [{"type": "actions", "block_id": block_id, "elements": elements}]


def _acknowledge(incident: Incident) -> Block:
    if incident.acknowledged_by:
        return _button(ActionKind.UNACKNOWLEDGE, "Give it back")
    return _button(ActionKind.ACKNOWLEDGE, "Acknowledge") | {"style": "primary"}


def _button(kind: ActionKind, text: str) -> Block:
    return {"type": "button", "action_id": kind.value, "text": plain_text(text), "value": kind.value}


def _silence(incident: Incident) -> Block:
    choices = [
        *((f"for {words}", value) for words, value in _FOR),
        ("until resolved", UNTIL_RESOLVED),
        ("Custom…", f"{CUSTOM}:{incident.severity.word}"),
    ]
    return {
        "type": "static_select",
        "action_id": ActionKind.SILENCE.value,
        "placeholder": plain_text("Silence"),
        "options": [{"text": plain_text(text), "value": value} for text, value in choices],
    }


def plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
