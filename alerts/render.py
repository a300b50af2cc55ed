"""What a message about an incident says, whatever the sink: words and order, no markup.

Everything here may hold hostile text (names, queries, application names) made printable; a sink still escapes
it for its own medium.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache

from alerts.course import drawn
from pgvigil.model.delivery import Delivery, Told
from pgvigil.model.evidence import Block, Figure, Step
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.plugins import DurationParams, PercentParams, SizeParams
from pgvigil.registry import rules
from pgvigil.text import one_line, printable
from pgvigil.units import format_duration, format_size

_SYMBOLS = {Level.CRITICAL: "🔴", Level.WARNING: "🟠", Level.INFO: "🔵", Level.HOLD: "🟡"}
_WORDS = {
    "pgbouncer": "PgBouncer",
    "fk": "foreign key",
    "xid": "transaction id",
}
_SHORT = {Level.CRITICAL: "CRIT", Level.WARNING: "WARN", Level.INFO: "INFO", Level.HOLD: "HOLD"}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One message. `status` is what changed or why nobody need act; empty for a plain firing incident.

    `lead` is the one sentence to read; `context` lists small print, `footer` is always its last line. `times` are the
    moments that lines of the context end with, by their words.
    """

    symbol: str
    status: str
    title: str
    place: str
    short: str  # "CRIT", "RESOLVED" ...: the first word of a notification
    lead: str
    impact: str = ""
    figures: tuple[Figure, ...] = ()
    blocks: tuple[Block, ...] = ()
    cause: str = ""
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    times: Mapping[str, datetime] = field(default_factory=dict)
    footer: str
    mention: str = ""

    @property
    def header(self) -> str:
        parts = " · ".join(filter(None, (self.status, self.title, self.place)))
        return f"{self.symbol} {parts}"

    @property
    def notification(self) -> str:
        """What a phone shows on its lock screen: at most 150 characters."""
        return _line(f"{self.short} {self.place}: {self.lead}", 150)


def view(
    incident: Incident,
    delivery: Delivery,
    *,
    told: Told | None = None,
    possible_duplicate_of: datetime | None = None,
) -> View:
    """The whole message: the diagnosis while it lasts, a short account of it when it is over."""
    short, status = _status(incident, delivery, told)
    shown = View(
        symbol=symbol_of(incident),
        status=status,
        title=title_of(incident.rule),
        place=place_of(incident),
        short=short,
        lead=_lead(incident),
        impact=_line(incident.evidence.impact, 1000),
        figures=_figures(incident),
        cause=_line(incident.evidence.cause, 800),
        notes=tuple(_line(note, 300) for note in incident.evidence.notes),
        context=_context(incident, delivery, possible_duplicate_of),
        times=_times(incident),
        footer=f"{incident.name} · rule {incident.rule} · evaluated {_stamp(incident.evaluated_at)}",
        mention=_called(incident, delivery, told),
    )
    return shown if _calm(incident) else _with_evidence(shown, incident)


def reply(
    incident: Incident, delivery: Delivery, told: Told, *, possible_duplicate_of: datetime | None = None
) -> View:
    """What is said in the thread, in a sentence or two. Being better is nothing to be called for."""
    short, status = _status(incident, delivery, told)
    return View(
        symbol=symbol_of(incident),
        status=status,
        title=title_of(incident.rule),
        place=place_of(incident),
        short=short,
        lead=_lead(incident),
        impact=_said(incident, delivery, told),
        context=duplicate(possible_duplicate_of),
        footer=f"{incident.name} · rule {incident.rule} · evaluated {_stamp(incident.evaluated_at)}",
        mention="" if told is Told.RESOLVED else delivery.mention,
    )


def _line(text: str, limit: int) -> str:
    """One printable line; a text of megabytes is not read to its end for it."""
    return one_line(text[: 4 * limit], limit)


def fit_block(text: str, limit: int, length: Callable[[str], int] = len) -> str:
    """Literal text of at most `limit`, as `length` counts it; what was cut is said, whole lines where possible."""
    head = printable(text[: 4 * limit]).rstrip("\n")
    if len(text) <= 4 * limit and length(head) <= limit:
        return head
    kept = _prefix(head, limit - 32, length)
    at_line = kept.rfind("\n")
    if at_line > len(kept) // 2:
        kept = kept[:at_line]
        return f"{kept}\n… {text.count(chr(10)) - kept.count(chr(10)):,} more lines"
    return f"{kept}\n… {len(text) - len(kept):,} more characters"


def _prefix(text: str, limit: int, length: Callable[[str], int]) -> str:
    total = 0
    for index, char in enumerate(text):
        total += length(char)
        if total > limit:
            return text[:index]
    return text


def magnitude(rule: str, value: float | None) -> str:
    """A rule's magnitude for people: "5m40s", "97 %", "12"; "" where there is none."""
    if value is None:
        return ""
    unit = unit_of(rule)
    if unit == "s":
        return format_duration(value)
    if unit == "B":
        return format_size(value)
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".rstrip()


@cache
def unit_of(rule: str) -> str:
    """What a value of the rule is given in; "s" and "B" are written as people write durations and sizes."""
    known = rules().get(rule)
    if known is None:
        return ""
    said = ((DurationParams, "s"), (SizeParams, "B"), (PercentParams, "%"))
    return known.unit or next((unit for kind, unit in said if issubclass(known.params, kind)), "")


def peak_of(incident: Incident) -> str:
    """The worst value; "" where the highest is not the worst."""
    known = rules().get(incident.rule)
    falling = known is not None and known.falling
    return "" if falling else magnitude(incident.rule, incident.peak_value)


def _calm(incident: Incident) -> bool:
    """Nobody is to act on it: it is over, or another incident is the one to look at."""
    return incident.state is State.RESOLVED or incident.suppressed_by is not None


def _with_evidence(shown: View, incident: Incident) -> View:
    return replace(
        shown,
        blocks=incident.evidence.blocks,
        steps=tuple(replace(step, sql=step.command) for step in incident.steps),
        context=(*filter(None, [runbook(incident.rule)]), *shown.context),
    )


def runbook(rule: str) -> str:
    """Where it stands what the rule means, how to look and what to do, wherever pgvigil is installed; "" of no rule."""
    return f"Runbook: pgvigil rules explain {rule}" if rule in rules() else ""


def _called(incident: Incident, delivery: Delivery, told: Told | None) -> str:
    """In a digest's thread the digest has called people; what came since calls them again."""
    return "" if _calm(incident) or (delivery.thread and told is None) else delivery.mention


def symbol_of(incident: Incident) -> str:
    if incident.state is State.RESOLVED:
        return "✅"
    if incident.suppressed_by is not None:
        return "🔕"
    return "⚪" if incident.state is State.UNKNOWN else _SYMBOLS[incident.severity]


def _status(incident: Incident, delivery: Delivery, told: Told | None) -> tuple[str, str]:
    """The first word of a notification, and the first words of the header."""
    if incident.state is State.RESOLVED:
        return "RESOLVED", f"Resolved after {lasted(incident)}"
    if incident.suppressed_by is not None:
        parent = _line(incident.suppressed_by, 40)
        return f"PART OF {parent}", f"Part of {parent}"
    if incident.state is State.UNKNOWN:
        return "UNKNOWN", "Unknown"
    return _news(incident, delivery, told)


def _news(incident: Incident, delivery: Delivery, told: Told | None) -> tuple[str, str]:
    short = _SHORT[incident.severity]
    if told is Told.WORSE:
        before = delivery.seen_level
        rise = incident.severity.word if before is None else f"{before.word} → {incident.severity.word}"
        return f"WORSE {short}", f"Worse: {rise}"
    if told is Told.REOPENED:
        return f"REOPENED {short}", "Reopened"
    if told is Told.STILL:
        return f"STILL {short}", f"Still firing after {lasted(incident)}"
    late = incident.was_silenced_by is not None and delivery.seen_state is None
    return short, "Still firing" if late else ""


def _lead(incident: Incident) -> str:
    summary = _line(incident.summary, 400)
    if incident.state is State.RESOLVED:
        return f"Was: {summary}"
    other = _line(incident.suppressed_by, 40) if incident.suppressed_by else ""
    if incident.state is not State.UNKNOWN:
        return f"Explained by {other}, follow that one: {summary}" if other else summary
    reason = _line(incident.reason, 300)
    since = f"while {other} lasts" if other else f"since {_clock(incident.state_since, incident)}"
    because = f": {reason}" if reason else ""
    return f"Cannot tell {since}{because}. Last seen {_clock(incident.last_true_at, incident)}: {summary}"


def _said(incident: Incident, delivery: Delivery, told: Told) -> str:
    """The second sentence of a reply."""
    if told is Told.RESOLVED:
        return _ending(incident)
    return _until_now(incident, delivery) if told is Told.STILL else ""


def _until_now(incident: Incident, delivery: Delivery) -> str:
    """Why people hear of it once more: the silence is over since they last did, or nobody has taken it on."""
    since = incident.unattended_since
    if since is not None and (delivery.told_at is None or delivery.told_at < since):
        silenced = _was_silenced(incident)
        if silenced:
            return f"{silenced[0]}."
    return "Nobody has acknowledged it."


def _was_silenced(incident: Incident) -> list[str]:
    since = incident.unattended_since
    if not incident.was_silenced_by or since is None or not incident.open:
        return []
    return [f"Was silenced by {_line(incident.was_silenced_by, 80)} until {_clock(since, incident)}"]


def _ending(incident: Incident) -> str:
    """How it ended, and how bad it was."""
    peak = peak_of(incident)
    worst = f"{peak}, {incident.peak.word}" if peak else incident.peak.word
    return f"Ended because: {_line(incident.reason, 300) or 'recovered'}. Peak: {worst}."


def _figures(incident: Incident) -> tuple[Figure, ...]:
    over = incident.state is State.RESOLVED
    first = [Figure("Since", f"{_clock(incident.pending_since, incident)} ({lasted(incident)})")]
    if over and incident.resolved_at is not None:
        first = [
            Figure(
                "Lasted",
                f"{_clock(incident.pending_since, incident)} to {_clock(incident.resolved_at, incident)}",
            ),
            Figure("Ended because", _line(incident.reason, 300) or "recovered"),
        ]
    first.append(Figure("Severity", _ladder(incident)))
    peak = peak_of(incident)
    if peak and (over or peak != magnitude(incident.rule, incident.value)):
        first.append(Figure("Peak", peak))
    first += [Figure("Course", words) for words in [course_of(incident)] if words]
    if incident.reopened:
        first.append(Figure("Reopened", "once" if incident.reopened == 1 else f"{incident.reopened} times"))
    own = () if _calm(incident) else incident.evidence.figures
    return (*first, *(Figure(_line(figure.name, 60), _line(figure.value, 200)) for figure in own))


def course_of(incident: Incident) -> str:
    """How its value went, as a line of blocks with its least and its largest; "" where there is too little to draw."""
    course = incident.evidence.course
    line = drawn(course, incident.resolved_at or incident.evaluated_at)
    if not line:
        return ""
    values = [point.value for point in course]
    return f"{line} {magnitude(incident.rule, min(values))} to {magnitude(incident.rule, max(values))}"


def _ladder(incident: Incident) -> str:
    if incident.state is State.RESOLVED or incident.peak is incident.severity:
        return incident.peak.word
    return f"{incident.severity.word} (was {incident.peak.word})"


def _context(
    incident: Incident, delivery: Delivery, possible_duplicate_of: datetime | None
) -> tuple[str, ...]:
    parent = f"INC-{incident.parent_id}" if incident.parent_id is not None else None
    lines = [f"Belongs to {parent}"] if parent and not incident.suppressed_by else []
    lines += [f"{text} {when}".rstrip() for text, when, _ in _acts(incident)]
    lines += _was_silenced(incident)
    lines += [_line(delivery.why, 200)] * bool(delivery.why)
    lines += [_line(" ".join(f"{key}={value}" for key, value in incident.labels), 300)] * bool(
        incident.labels
    )
    return (*lines, *duplicate(possible_duplicate_of))


def _acts(incident: Incident) -> Iterator[tuple[str, str, datetime | None]]:
    """What people did: in words, the words of its moment, which follow, and that."""
    if incident.acknowledged_by:
        at = incident.acknowledged_at
        when = "" if at is None else f"at {_clock(at, incident)}"
        yield f"Acknowledged by {_line(incident.acknowledged_by, 80)}", when, at
    if incident.silenced_by:
        words = f"Silenced by {_line(incident.silenced_by, 80)}"
        words += f" ({_line(incident.silencer, 80)})" if incident.silencer else ""
        until = incident.silenced_until
        yield (words, "", None) if until is None else (f"{words} until", _clock(until, incident), until)


def _times(incident: Incident) -> dict[str, datetime]:
    return {when: at for _, when, at in _acts(incident) if at is not None}


def duplicate(of: datetime | None) -> tuple[str, ...]:
    return () if of is None else (f"⚠️ possible duplicate of a send at {of:%H:%M:%S}Z",)


def title_of(rule: str) -> str:
    words = " ".join(_WORDS.get(word, word) for word in rule.split("_"))
    return _line(words[:1].upper() + words[1:], 60)


def place_of(incident: Incident) -> str:
    target = _line(incident.target, 80)
    return target if incident.database is None else f"{_line(incident.database, 63)} @ {target}"


def lasted(incident: Incident) -> str:
    """As far as it is known: time in which nothing could be seen is not counted."""
    until = incident.evaluated_at
    if incident.state is State.UNKNOWN:
        until = incident.last_true_at
    elif incident.state is State.RESOLVED and incident.resolved_at is not None:
        until = incident.resolved_at
    return format_duration(max((until - incident.pending_since).total_seconds(), 0))


def _clock(at: datetime, incident: Incident) -> str:
    """The time of day, and the date where it is not that of the message."""
    same_day = at.date() == incident.evaluated_at.date()
    return f"{at:%H:%M:%S}Z" if same_day else f"{at:%Y-%m-%d %H:%M}Z"


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"
