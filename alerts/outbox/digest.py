"""What a digest says, and what it leaves to say afterwards. Pure.

Of each incident that the destination is to reflect:

| acts | the digest | afterwards |
|---|---|---|
| it would be heard, and fires | "new", or "still firing" with what changed | own message: edited; none yet: posted in the thread |
| it would be heard, and is over | "resolved meanwhile" | own message: edited; none: nothing |
| it would not be heard, and fires | "still firing" | edited if it changed |
| it would not be heard, and is over | nothing | as ever |

A destination that can neither edit nor answer has heard what stood in the digest, and nothing is left of that. One
that can edit and has no threads gets no digest: the messages to edit would stand beside it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alerts.grading import counted
from alerts.outbox.acts import acts
from pgvigil.model.delivery import Act, ActKind, Delivery, DeliveryStatus, Told
from pgvigil.model.digest import Digest, DigestCause, DigestDelivery, Line, Section, Sight
from pgvigil.model.incident import Incident, State
from pgvigil.units import format_duration

NEW, STILL, OVER = "New", "Still firing", "Resolved meanwhile"
_FEWEST = 2  # one thing to say is said as ever
GATHERS = (
    "What else begins joins this message, critical incidents are told by themselves; what still fires at the end of the"
    " storm follows in the thread."
)
_GOES_ON = "What else begins is gathered and told together; critical incidents are told by themselves."

_EACH_MENTION = re.compile(r"<[^<>]*>|[^\s<>]+")

Pair = tuple[Incident, Delivery]


@dataclass(frozen=True, slots=True)
class Composed:
    """`sights` is what is told by it; `left` says that more is to be heard than fitted."""

    digest: Digest
    sights: tuple[Sight, ...]
    left: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    incident: Incident
    delivery: Delivery
    section: str
    heard: Act | None

    @property
    def rank(self) -> tuple[object, ...]:
        """What must be heard first."""
        return (self.heard is None, *rank(self.incident, over=self.section == OVER))


def compose(
    row: DigestDelivery,
    standing: Sequence[Pair],
    *,
    can_edit: bool,
    can_reply: bool,
    room: int,
) -> Composed | None:
    """One message of at most `room` lines; None when there is not enough to say for one.

    A storm's tells of what is to be heard, and leaves what goes on as it was to its own message.
    """
    if can_edit and not can_reply:
        return None
    items = [
        item
        for incident, delivery in standing
        if (item := _item(row, incident, delivery, can_edit=can_edit, can_reply=can_reply)) is not None
    ]
    loud = [item for item in items if item.heard is not None]
    storm = row.cause is DigestCause.STORM
    if len(loud) < (1 if storm else _FEWEST):
        return None
    items = (
        items if row.part == 1 and not storm else loud
    )  # what goes on in another message says nothing again
    ranked = sorted(items, key=lambda item: (item.heard is None, item.section == OVER, item.rank))
    shown = ranked[:room]
    told = list(dict.fromkeys((*loud, *shown))) if can_reply else shown
    sections = [_section(name, items, shown) for name in (NEW, STILL, OVER)]
    digest = Digest(
        id=row.id,
        part=row.part,
        title=_title(row, loud),
        since=row.since,
        until=row.until,
        sections=tuple(section for section in sections if section.count),
        mention=_mention(told),
        footer=_footer(row, edited=can_reply),
        cause=row.cause,
    )
    return Composed(digest, tuple(sight_of(item.incident) for item in told), left=not {*loud} <= {*told})


def heard(
    sight: Sight, handle: Mapping[str, str], *, can_reply: bool, at: datetime | None
) -> Callable[[Delivery], Delivery]:
    """What becomes of a row once people have read `sight`, `at` that time, in the digest that `handle` leads to."""

    def done(row: Delivery) -> Delivery:
        seen = replace(
            row,
            status=DeliveryStatus.DUE,
            seen_state=sight.state,
            seen_level=sight.level,
            seen_reminder=row.want_reminder,
            told_at=at,
            act_key=None,
            act_at=None,
            maybe_seen=(),
            attempts=0,
            not_before=None,
            last_error="",
        )
        if can_reply and row.remote:
            behind = row.want_version > row.seen_version
            return replace(seen, status=DeliveryStatus.DUE if behind else DeliveryStatus.SETTLED)
        if can_reply and sight.state is not State.RESOLVED:
            return replace(seen, thread=handle)
        version = max(row.seen_version, sight.version)
        return replace(seen, status=DeliveryStatus.SETTLED, seen_version=version)

    return done


def perhaps_heard(sights: Sequence[Sight]) -> Callable[[Delivery], Delivery]:
    """What becomes of a row when a digest that may have arrived is given up: what it told stays in doubt."""
    told = tuple((sight.state, sight.level) for sight in sights)

    def done(row: Delivery) -> Delivery:
        own = row.maybe_seen[-1:] if row.act_key else ()  # of the act in flight: it stays the last
        earlier = row.maybe_seen[: len(row.maybe_seen) - len(own)]
        return replace(row, maybe_seen=(*earlier, *told, *own))

    return done


def by_incident(told: Sequence[Sight]) -> Mapping[int, tuple[Sight, ...]]:
    """What was told of each incident, in order."""
    found: dict[int, tuple[Sight, ...]] = {}
    for sight in told:
        found[sight.incident_id] = (*found.get(sight.incident_id, ()), sight)
    return found


def awaits_look(delivery: Delivery, *, can_reply: bool) -> bool:
    """Whether its first message may be in the channel: in a thread it must not come again, and be new to nobody."""
    return can_reply and delivery.act_key is not None and delivery.act_key.endswith(f":{ActKind.POST}")


def rank(incident: Incident, *, over: bool) -> tuple[object, ...]:
    """The worst first, then what has most to do with it, then what takes most of its server, then the oldest."""
    level = incident.peak if over else incident.severity
    impact = (-len(incident.evidence.notes), -(incident.evidence.share_percent or 0.0))
    return (-level, *impact, incident.pending_since, incident.id)


def _title(row: DigestDelivery, loud: Sequence[_Item]) -> str:
    lasted = format_duration((row.until - row.since).total_seconds())
    if row.cause is DigestCause.PAUSE:
        away = f"pgvigil was away for {lasted}"
        return away if row.part == 1 else f"{away}, continued"
    many = extent([item.incident for item in loud])
    return f"Alert storm: {many} in {lasted}" if row.part == 1 else f"Alert storm, continued: {many}"


def extent(incidents: Sequence[Incident]) -> str:
    """How many, and where."""
    targets = len({incident.target for incident in incidents})
    return f"{counted(len(incidents), 'incident')} on {counted(targets, 'target')}"


def _footer(row: DigestDelivery, *, edited: bool) -> str:
    if row.cause is DigestCause.PAUSE:
        return f"From {_stamp(row.since)} to {_stamp(row.until)} nobody looked."
    return GATHERS if edited else _GOES_ON


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"


def _item(
    row: DigestDelivery, incident: Incident, delivery: Delivery, *, can_edit: bool, can_reply: bool
) -> _Item | None:
    if awaits_look(delivery, can_reply=can_reply):  # nobody can look: it is told by itself, and marked
        return None
    perhaps = by_incident(row.told).get(incident.id, ())
    doubtful = perhaps_heard(perhaps)(delivery) if perhaps else delivery
    todo = acts(incident, doubtful, can_edit=can_edit, can_reply=can_reply)
    act = next((act for act in todo if act.creates and not _owed(act, delivery)), None)
    section = _placed(incident, delivery, act)
    return None if section is None else _Item(incident, delivery, section, act)


def _owed(act: Act, delivery: Delivery) -> bool:
    """Its post in the thread of an earlier digest, which nobody is called for."""
    return act.told is None and delivery.seen_state is not None and bool(delivery.thread)


def _placed(incident: Incident, delivery: Delivery, act: Act | None) -> str | None:
    if incident.state is State.RESOLVED:
        return None if act is None else OVER
    seen_open = delivery.seen_state in (State.FIRING, State.UNKNOWN)
    if act is not None:
        return STILL if seen_open else NEW
    quiet = incident.suppressed_by or incident.silenced_by
    return STILL if seen_open and not quiet and incident.state is not State.PENDING else None


def _section(name: str, items: Sequence[_Item], shown: Sequence[_Item]) -> Section:
    mine = sorted((item for item in shown if item.section == name), key=lambda item: item.rank)
    more = sum(item.section == name for item in items) - len(mine)
    return Section(name, tuple(map(_line, mine)), more)


def _line(item: _Item) -> Line:
    delivery = item.delivery
    return Line(incident=item.incident, note=_note(item), remote=delivery.remote, thread=delivery.thread)


def _note(item: _Item) -> str:
    if item.heard is None or item.section == OVER:
        return ""
    if item.heard.told is Told.REOPENED:
        return "reopened"
    before = item.delivery.seen_level
    if item.heard.told is Told.WORSE and before is not None:
        return f"worse: {before.word} → {item.incident.severity.word}"
    return ""


def sight_of(incident: Incident) -> Sight:
    """What a message that shows it as it is now tells of it."""
    return Sight(incident.id, incident.version, incident.state, incident.severity)


def _mention(told: Sequence[_Item]) -> str:
    """Everybody whom one of the messages would have called, once. An end calls nobody."""
    calling = [item for item in told if item.heard is not None and item.section != OVER]
    mentions = [item.delivery.mention for item in calling]
    return " ".join(dict.fromkeys(_EACH_MENTION.findall(" ".join(mentions))))
