"""What becomes of a digest while a storm lasts, and at its end. Pure.

| of an incident | while it lasts | at its end |
|---|---|---|
| told in it, and not critical | its line is edited | posted in its thread if it still goes on |
| told in it, and critical | posted in its thread at once | |
| new, and not critical | joins it with the next edit | |
| new, and critical | told by itself, as ever; of very many all that are new in a minute are another message | |
| told by itself before | as ever | |

Where nothing can be edited, what is new is gathered and told in another message, and there is nothing to do at the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum

from alerts.grading import counted
from alerts.outbox.acts import acts
from alerts.outbox.digest import GATHERS, OVER, STILL, Composed, Pair, extent, heard, rank, sight_of
from alerts.outbox.limits import OutboxLimits
from pgvigil.model.delivery import Delivery, DeliveryStatus
from pgvigil.model.digest import Digest, DigestCause, Line, Section, Sight, Storm
from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from pgvigil.text import one_line
from pgvigil.units import format_duration

MOST_MEMBERS = 500  # then another message begins
FEW = 2  # fewer than that beginning within the quiet time end it


class End(Enum):
    """Why the message of a storm is the last that is said in it."""

    CALM = "calm"  # hardly anything began of late
    FULL = "full"  # it is old, or holds as much as one can, or nobody knows how old it is
    LOST = "lost"  # it cannot be brought up to date any more


def held(row: Delivery, storm: Storm, *, flooded: bool = False) -> bool:
    """Whether the row waits for the next telling of the storm, or for its end."""
    if row.remote or row.act_key or row.maybe_seen:
        return False
    first = row.seen_state is None and not row.thread
    if row.urgency >= Level.CRITICAL:
        return flooded and first
    return first or (bool(storm.remote) and dict(row.thread) == dict(storm.remote))


def joins(incident: Incident, row: Delivery, storm: Storm) -> bool:
    """Whether it is to be heard of for the first time, and in the next telling."""
    return row.seen_state is None and held(row, storm) and not silent(incident, row)


def silent(incident: Incident, row: Delivery) -> bool:
    """Whether nobody is to hear of it now: it was over too soon, or something keeps it quiet. Then it need not wait."""
    if incident.open and (incident.suppressed_by or incident.silenced_by):
        return True
    return row.seen_state is None and not acts(incident, row, can_edit=True, can_reply=True)


def end_of(storm: Storm, members: Sequence[Pair], now: datetime, limits: OutboxLimits) -> End | None:
    """Whether the message has come to its end, and why."""
    if now < storm.since:  # the wall clock was set back
        return End.FULL
    since = now - timedelta(seconds=limits.storm_quiet_s)
    late = sum(_began(incident) > since for incident, _ in members)
    if storm.since <= since and late < FEW:
        return End.CALM
    if now - storm.since >= timedelta(seconds=limits.storm_most_s) or len(storm.roster) >= MOST_MEMBERS:
        return End.FULL
    return None


def floods(members: Sequence[Pair], now: datetime, limits: OutboxLimits) -> bool:
    """Whether so many critical incidents began of late that these, too, are gathered: a message each is no help."""
    since = now - timedelta(seconds=limits.storm_within_s)
    late = sum(one.severity >= Level.CRITICAL and _began(one) > since for one, _ in members)
    return late >= limits.storm_at


def urgent(row: Delivery) -> bool:
    """Whether it is critical, and nobody has heard of it."""
    unheard = row.seen_state is None and row.status is not DeliveryStatus.SETTLED
    return unheard and row.urgency >= Level.CRITICAL


def changed(storm: Storm, members: Sequence[Pair]) -> bool:
    """Whether its message says something that is no longer so, or lacks something; or a row waits to be told by it."""
    told = {sight.incident_id: sight for sight in storm.roster}
    shown = [pair for pair in members if pair[0].id in told or _belongs(*pair, storm)]
    return any(told.get(one.id) != sight_of(one) or _waits(one, row, storm) for one, row in shown)


def _waits(incident: Incident, row: Delivery, storm: Storm) -> bool:
    return row.status is DeliveryStatus.DUE and held(row, storm) and not silent(incident, row)


def retold(storm: Storm, members: Sequence[Pair], now: datetime, room: int, end: End | None) -> Composed:
    """The message as it is to be now, of at most `room` lines. At its end it says so."""
    told = {sight.incident_id for sight in storm.roster}
    shown = [(one, row) for one, row in members if one.id in told or _belongs(one, row, storm)]
    firing = sorted((pair for pair in shown if pair[0].open), key=lambda pair: rank(pair[0], over=False))
    ended = sorted((pair for pair in shown if not pair[0].open), key=lambda pair: rank(pair[0], over=True))
    lasting = firing[:room]
    sections = [_section(STILL, firing, room), _section(OVER, ended, room - len(lasting))]
    digest = Digest(
        id=storm.digest_id,
        part=storm.part,
        title=_title(storm, [one for one, _ in shown], len(firing), now, over=end is End.CALM),
        since=storm.since,
        until=now,
        sections=tuple(section for section in sections if section.count),
        footer=GATHERS if end is None else _end_words(end, len(firing)),
        cause=DigestCause.STORM,
    )
    return Composed(digest, tuple(sight_of(one) for one, _ in shown), left=False)


def heard_in(sight: Sight, storm: Storm, at: datetime | None) -> Callable[[Delivery], Delivery]:
    """What becomes of a row that a message of the storm tells: its own waits for the end, unless it is critical."""

    def done(row: Delivery) -> Delivery:
        seen = heard(sight, storm.remote, can_reply=bool(storm.remote), at=at)(row)
        if row.remote or sight.level >= Level.CRITICAL or seen.status is DeliveryStatus.SETTLED:
            return seen
        version = max(row.seen_version, sight.version)
        return replace(seen, status=DeliveryStatus.SETTLED, seen_version=version)

    return done


def edits(
    told: Sequence[Sight], members: Sequence[Pair], storm: Storm, at: datetime
) -> dict[int, Callable[[Delivery], Delivery]]:
    """What an edit that tells of `told` means for the rows. What is kept quiet counts as not heard: when that ends, it is."""
    quiet = {incident.id for incident, row in members if silent(incident, row)}
    return {
        sight.incident_id: _edited_in(sight, storm, at) for sight in told if sight.incident_id not in quiet
    }


def _edited_in(sight: Sight, storm: Storm, at: datetime) -> Callable[[Delivery], Delivery]:
    """What becomes of a row that an edit tells: nothing where it has, by now, a message of its own or is to have one."""

    def done(row: Delivery) -> Delivery:
        return heard_in(sight, storm, row.told_at or at)(row) if held(row, storm) else row

    return done


def _belongs(incident: Incident, row: Delivery, storm: Storm) -> bool:
    """Whether it is one of the storm's from now on: it joins, or was told by itself."""
    return row.seen_state is not None or joins(incident, row, storm)


def _began(incident: Incident) -> datetime:
    return incident.fired_at or incident.pending_since


def _section(name: str, pairs: Sequence[Pair], room: int) -> Section:
    lines = [_line(incident, row) for incident, row in pairs[: max(room, 0)]]
    return Section(name, tuple(lines), len(pairs) - len(lines))


def _line(incident: Incident, row: Delivery) -> Line:
    return Line(
        incident=incident, note=_note(incident) if incident.open else "", remote=row.remote, thread=row.thread
    )


def _note(incident: Incident) -> str:
    if incident.suppressed_by:
        return f"part of {incident.suppressed_by}"
    if incident.silenced_by:
        return f"silenced by {incident.silenced_by}"
    return f"acknowledged by {one_line(incident.acknowledged_by, 40)}" if incident.acknowledged_by else ""


def _title(storm: Storm, incidents: Sequence[Incident], firing: int, now: datetime, *, over: bool) -> str:
    lasted = format_duration((now - storm.since).total_seconds())
    still = f"{firing} still firing" if firing else "all resolved"
    return f"Alert storm{' over' * over}: {extent(incidents)} in {lasted}, {still}"


def _end_words(end: End, firing: int) -> str:
    follow = f" {counted(firing, 'incident')} that still fire{'s' * (firing == 1)} follow in the thread." * (
        firing > 0
    )
    if end is End.CALM:
        return f"Hardly anything new began of late.{follow}"
    return f"The storm goes on: what begins from now on is told in another message.{follow}"
