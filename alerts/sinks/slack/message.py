"""From a view of an incident to what Slack is sent, in three tiers; pure.

FULL uses rich text, where text from a database is literal. SIMPLE uses only the oldest blocks, TEXT none at
all, so that a message arrives even where Slack refuses its form.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import IntEnum
from typing import Any

from alerts.render import View, fit_block, reply, view
from alerts.sinks.slack import blocks as b
from alerts.sinks.slack.buttons import buttons
from alerts.sinks.slack.text import escape, fence, fit, moment, mrkdwn, weight
from pgvigil.model.action import fault_of
from pgvigil.model.delivery import Act, ActKind, Delivery
from pgvigil.model.evidence import Block
from pgvigil.model.incident import Incident

EVENT_TYPE = "pgvigil_incident"
TOTAL_LIMIT = 11_000  # Slack refuses near 13,200 (bolt-js#2509)
_TEXT_LIMIT = 3_500  # chat.update takes 4,000
_STEPS_LIMIT = 8
_BLOCKS_LIMIT = 6
_NOTES_LIMIT = 6
_SHARE = 2_400  # of a section in SIMPLE: mrkdwn sections hold 3,000 with their markup


class Tier(IntEnum):
    """How much of Slack's form a message uses."""

    TEXT = 0
    SIMPLE = 1
    FULL = 2

    @property
    def lower(self) -> "Tier | None":
        return Tier(self - 1) if self else None


def render(
    act: Act,
    incident: Incident,
    delivery: Delivery,
    *,
    public_url: str = "",
    tier: Tier = Tier.FULL,
    possible_duplicate_of: datetime | None = None,
    answers: bool = False,
) -> dict[str, Any]:
    """The arguments `text`, `blocks` and `metadata` of chat.postMessage or chat.update; with buttons where somebody
    `answers` them.
    """
    if act.kind is ActKind.REPLY and act.told is not None:
        shown = reply(incident, delivery, act.told, possible_duplicate_of=possible_duplicate_of)
        body = _reply_blocks(shown, incident, public_url, shared=bool(delivery.thread))
    else:
        shown = view(incident, delivery, told=act.told, possible_duplicate_of=possible_duplicate_of)
        body = (
            _full(shown, incident, public_url) if tier is Tier.FULL else _simple(shown, incident, public_url)
        )
        if answers:
            body[-1:-1] = buttons(incident)  # the last line names the incident
    metadata = metadata_of(act, incident, delivery)
    if tier is Tier.TEXT:
        return {"text": _text(shown, incident, public_url), "blocks": [], "metadata": metadata}
    return {"text": mrkdwn(shown.notification, 300), "blocks": body, "metadata": metadata}


def metadata_of(act: Act, incident: Incident, delivery: Delivery | None = None) -> dict[str, Any]:
    """What reconciliation looks for. The digest tells two pgvigils in one channel apart; `heard` is what people
    have been told aloud so far, of which an edit tells nothing.
    """
    payload = {
        "incident": incident.id,
        "rule": fit(incident.rule, 100),
        "version": act.version,
        "act": act.key,
        "fault": fault_of(incident),
        "heard": _heard(act, incident, delivery),
    }
    return {"event_type": EVENT_TYPE, "event_payload": payload}


def _heard(act: Act, incident: Incident, delivery: Delivery | None) -> str:
    state, level = incident.state, incident.severity
    if act.kind is ActKind.EDIT and delivery is not None and delivery.seen_level is not None:
        state, level = delivery.seen_state or state, delivery.seen_level
    return f"{state}:{int(level)}"


# --- full: literal wherever text from a database stands ------------------------------------------------------


def _full(shown: View, incident: Incident, public_url: str) -> list[b.Block]:
    head = [b.header(fit(shown.header, b.HEADER_LIMIT)), _lead(shown), *_fields(shown)]
    tail = [
        *_cause(shown),
        *_steps(shown, incident),
        *_notes(shown.notes),
        *_small_print(shown, incident, public_url),
    ]
    return [*head, *_evidence(shown.blocks, TOTAL_LIMIT - b.used(head) - b.used(tail)), *tail]


def _lead(shown: View) -> b.Block:
    elements = [*b.mentions(shown.mention), b.bold(fit(shown.lead, 700) or "…")]
    if shown.impact:
        elements.append(b.plain("\n" + fit(shown.impact, 900)))
    return b.rich(b.line(*elements))


def _fields(shown: View) -> list[b.Block]:
    texts = [
        f"*{mrkdwn(figure.name, 60)}*\n{mrkdwn(figure.value, 180) or '-'}"
        for figure in shown.figures[: b.FIELDS_LIMIT]
    ]
    return [b.fields(texts)] if texts else []


def _evidence(given: tuple[Block, ...], budget: int) -> list[b.Block]:
    """Each block as much as there is room for, the first ones first."""
    made: list[b.Block] = []
    for block in given[:_BLOCKS_LIMIT]:
        title = fit(block.title, 150) or block.kind.value.capitalize()
        room = min(budget - weight(title) - 120, b.LITERAL_LIMIT)
        if room < 200:
            break
        made.append(
            b.rich(b.line(b.bold(title)), b.literal(fit_block(block.text, room, weight) or "(empty)"))
        )
        budget -= b.used(made[-1])
    left_out = len(given) - len(made)
    return [*made, b.rich(b.line(b.plain(f"… {left_out} more parts left out")))] if left_out else made


def _cause(shown: View) -> list[b.Block]:
    return [b.rich(b.line(b.bold("Likely cause  "), b.plain(fit(shown.cause, 800))))] if shown.cause else []


def _steps(shown: View, incident: Incident) -> list[b.Block]:
    """Commands stand alone, so that a long press copies one."""
    if not shown.steps:
        return []
    elements = [b.line(b.bold("Do this"))]
    for text, sql in _numbered(shown, incident, text_limit=300, sql_limit=900, room=2_600):
        elements.append(b.line(b.plain(text)))
        elements += [b.literal(sql)] if sql else []
    return [b.rich(*elements)]


def _numbered(
    shown: View, incident: Incident, *, text_limit: int, sql_limit: int, room: int
) -> Iterator[tuple[str, str]]:
    """The steps that there is room for, each with its command."""
    for number, step in enumerate(shown.steps, 1):
        text, sql = f"{number}. {fit(step.text, text_limit)}", _command(step.sql, sql_limit, incident)
        room -= weight(text) + weight(sql) + 10
        if room < 0 or number > _STEPS_LIMIT:
            yield f"… {len(shown.steps) - number + 1} more steps", ""
            return
        yield text, sql


def _command(sql: str | None, limit: int, incident: Incident) -> str:
    """A command whole or not at all: one that lost its end may do something else."""
    if not sql or weight(sql) <= limit:
        return fit_block(sql or "", limit, weight)
    return f"-- too long for this message: pgvigil incidents show {incident.name}"


def _notes(notes: tuple[str, ...]) -> list[b.Block]:
    if not notes:
        return []
    shown = [fit(note, 150) or "…" for note in notes[:_NOTES_LIMIT]]
    if len(notes) > _NOTES_LIMIT:
        shown.append(f"… {len(notes) - _NOTES_LIMIT} more")
    return [b.rich(b.line(b.bold("Part of this")), b.bullets(shown))]


def _small_print(shown: View, incident: Incident, public_url: str) -> list[b.Block]:
    """The footer is the last line of every message, in a block of its own."""
    small = [b.context(list(_context(shown)))] if shown.context else []
    return [*small, b.context([_footer(shown, incident, public_url)])]


def _context(shown: View) -> Iterator[str]:
    for text in shown.context[:5]:
        words = next((words for words in shown.times if text.endswith(f" {words}")), "")
        said = mrkdwn(text.removesuffix(words), 200)
        yield f"{said} {moment(shown.times[words], words)}" if words else said


def _footer(shown: View, incident: Incident, public_url: str) -> str:
    rest = shown.footer.removeprefix(incident.name)
    url = escape(public_url.rstrip("/")).replace("|", "%7C")
    name = f"<{url}/incidents/{incident.name}|{incident.name}>" if url and len(url) < 500 else incident.name
    return f"{name} {mrkdwn(rest, 250)}"


def _reply_blocks(shown: View, incident: Incident, public_url: str, *, shared: bool) -> list[b.Block]:
    """In a thread that it shares with other incidents it says which one it speaks of."""
    lines = "".join(f"\n{fit(text, 700)}" for text in (shown.lead, shown.impact) if text)
    head = f"{fit(shown.header, 300)} · {incident.name}" if shared else f"{shown.symbol} {shown.status}"
    lead = [*b.mentions(shown.mention), b.bold(head), b.plain(lines or "…")]
    return [b.rich(b.line(*lead)), *_small_print(shown, incident, public_url)]


# --- simple: sections of mrkdwn ------------------------------------------------------------------------------


def _simple(shown: View, incident: Incident, public_url: str) -> list[b.Block]:
    head = [b.header(fit(shown.header, b.HEADER_LIMIT)), b.section(_lead_text(shown)), *_fields(shown)]
    tail = [
        b.section(text)
        for text in (_cause_text(shown), _steps_text(shown, incident), _notes_text(shown))
        if text
    ]
    tail += _small_print(shown, incident, public_url)
    budget = TOTAL_LIMIT - b.used(head) - b.used(tail)
    evidence = []
    for block in shown.blocks[:_BLOCKS_LIMIT]:
        room = min(_SHARE, budget - 200)
        if room < 200:
            break
        evidence.append(b.section(_block_text(block, room)))
        budget -= b.used(evidence[-1])
    return [*head, *evidence, *tail]


def _lead_text(shown: View) -> str:
    called = b.mention_text(shown.mention)
    words = f"{called} *{mrkdwn(shown.lead, 700)}*".lstrip()
    return f"{words}\n{mrkdwn(shown.impact, 900)}" if shown.impact else words


def _cause_text(shown: View) -> str:
    return f"*Likely cause*  {mrkdwn(shown.cause, 800)}" if shown.cause else ""


def _steps_text(shown: View, incident: Incident) -> str:
    lines = ["*Do this*"]
    for text, sql in _numbered(shown, incident, text_limit=120, sql_limit=300, room=2_800):
        lines += [mrkdwn(text), fence(sql)] if sql else [mrkdwn(text)]
    return "\n".join(lines) if shown.steps else ""


def _notes_text(shown: View) -> str:
    lines = [f"• {mrkdwn(note, 150)}" for note in shown.notes[:_NOTES_LIMIT]]
    return "\n".join(["*Part of this*", *lines]) if lines else ""


def _block_text(block: Block, limit: int) -> str:
    return f"*{mrkdwn(block.title, 150)}*\n{fence(fit_block(block.text, limit, weight))}"


# --- text: nothing that could be refused -------------------------------------------------------------------


def _text(shown: View, incident: Incident, public_url: str) -> str:
    called = b.mention_text(shown.mention)
    head = [
        f"{called} {mrkdwn(shown.header, 200)}".lstrip(),
        mrkdwn(shown.lead, 400),
        mrkdwn(shown.impact, 300),
    ]
    head += [f"{mrkdwn(figure.name, 40)}: {mrkdwn(figure.value, 80)}" for figure in shown.figures[:6]]
    cause = f"Likely cause: {mrkdwn(shown.cause, 400)}" if shown.cause else ""
    tail = [cause, *_context(shown)]
    tail.append(_footer(shown, incident, public_url))
    room = _TEXT_LIMIT - sum(len(text) + 1 for text in (*head, *tail))
    middle = [_steps_text(shown, incident)] if len(_steps_text(shown, incident)) < room else []
    room -= sum(map(len, middle))
    if shown.blocks and room > 500:
        middle.insert(0, _block_text(shown.blocks[0], room - 200))
    return "\n".join(text for text in (*head, *middle, *tail) if text)
