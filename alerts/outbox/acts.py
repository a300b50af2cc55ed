"""What a destination must be told, from what people there last saw and the incident now. Pure.

| seen | now | acts |
|---|---|---|
| nothing | firing, or unknown after firing | POST |
| nothing | resolved, peak critical | POST |
| nothing | resolved otherwise; pending; suppressed or silenced | none |
| something | newer | EDIT |
| something | newer, and worth hearing | EDIT, REPLY |

Worth hearing are: worse, reopened, resolved, and that it still goes on where a reminder is wanted and nobody has taken
it on. Of a suppressed incident only its end is heard, of a silenced one nothing; both are still edited, so that no message goes on telling what is no longer so.

- A destination that cannot edit gets a POST of what is worth hearing, and nothing of the rest.
- One that can edit but not reply is edited for an end, and gets a new POST of worse and reopened.
- A message that was deleted is posted anew, unless it told the end.
- What a digest told first is posted in its thread; the end is heard there even if it is suppressed by then.
- What is muted at a destination by its routes is, there, as if it were suppressed: its end is heard where it was told.
- An act in flight may have arrived: people may have seen what it told, and what follows must fit both cases.
"""

from alerts.outbox.seen import Seen, last_seen, possibly_seen
from pgvigil.model.delivery import Act, ActKind, Delivery, Told
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level


def acts(
    incident: Incident, delivery: Delivery, *, can_edit: bool, can_reply: bool, muted: bool = False
) -> tuple[Act, ...]:
    """The calls to make, in order. None means that the row is settled as it is."""
    if incident.state is State.PENDING:
        return ()
    maybe = possibly_seen(delivery)
    quiet = muted or _quiet(incident)
    if not maybe:
        return _first(incident, quiet=quiet)
    told = _worth_hearing(incident, maybe)
    heard = None if _withheld(incident, told, quiet=quiet) else told
    if told is None and not muted and reminds(incident, delivery):
        heard = Told.STILL
    if delivery.seen_state is None:  # the first message may have arrived, or not: no other state is safe
        return (_act(ActKind.POST, incident, heard),)
    nth = delivery.want_reminder if heard is Told.STILL else 0
    if not can_edit:
        return (_act(ActKind.POST, incident, heard, nth),) if heard else ()
    if not delivery.remote:
        return _anew(incident, delivery, heard, quiet=quiet)
    return (_act(ActKind.EDIT, incident), *_aloud(incident, heard, nth, can_reply=can_reply))


def reminds(incident: Incident, delivery: Delivery) -> bool:
    """Whether people who know of it are to hear once more that it goes on."""
    wanted = delivery.want_reminder > delivery.seen_reminder
    return wanted and last_seen(delivery) is not None and unattended(incident)


def unattended(incident: Incident) -> bool:
    """Whether it goes on, and nobody has taken it on or keeps it quiet."""
    return incident.state in (State.FIRING, State.UNKNOWN) and not incident.marks


def missed(incident: Incident, delivery: Delivery, *, muted: bool = False) -> bool:
    """Whether nobody there will hear of it, because it ended before they could be told. What is quiet is not missed."""
    quiet = muted or _quiet(incident)
    return incident.state is State.RESOLVED and not possibly_seen(delivery) and not quiet


def unheard(incident: Incident, delivery: Delivery) -> bool:
    """Whether people there are still to hear something of what goes on now, and nothing keeps it quiet everywhere.

    What they may have seen, and nobody can tell, they have not.
    """
    if incident.state not in (State.FIRING, State.UNKNOWN) or _quiet(incident):
        return False
    last = last_seen(delivery)
    return last is None or _news(incident, last) is not None


def shown(
    incident: Incident, delivery: Delivery, done: tuple[Act, ...], *, muted: bool = False
) -> Seen | None:
    """What people have seen once `done` is done.

    What was worth hearing and was withheld counts as not yet seen: it is heard when the silence ends.
    """
    last = last_seen(delivery)
    if any(act.creates for act in done):
        return Seen(incident.state, incident.severity)
    if not done:
        return last
    told = _worth_hearing(incident, possibly_seen(delivery))
    if told is not Told.RESOLVED and _withheld(incident, told, quiet=muted or _quiet(incident)):
        return last
    return Seen(incident.state, incident.severity)


def _first(incident: Incident, *, quiet: bool) -> tuple[Act, ...]:
    missed = incident.state is State.RESOLVED and incident.peak < Level.CRITICAL
    return () if missed or quiet else (_act(ActKind.POST, incident),)


def _anew(incident: Incident, delivery: Delivery, heard: Told | None, *, quiet: bool) -> tuple[Act, ...]:
    """There is no message to edit: it was deleted, or only a digest has told of the incident."""
    in_doubt = bool(delivery.maybe_seen)
    over = incident.state is State.RESOLVED and heard is None
    if not in_doubt and (over or (quiet and not (delivery.thread and heard))):
        return ()
    return (_act(ActKind.POST, incident, heard),)


def _worth_hearing(incident: Incident, seen: tuple[Seen, ...]) -> Told | None:
    words = [_news(incident, each) for each in seen]
    return next((word for word in words if word is not None), None)


def _news(incident: Incident, seen: Seen) -> Told | None:
    if incident.state is State.RESOLVED:
        return None if seen.state is State.RESOLVED else Told.RESOLVED
    if seen.state is State.RESOLVED:
        return Told.REOPENED
    return Told.WORSE if incident.severity > seen.level else None


def _quiet(incident: Incident) -> bool:
    return bool(incident.suppressed_by or incident.silenced_by)


def _withheld(incident: Incident, told: Told | None, *, quiet: bool) -> bool:
    if told is Told.RESOLVED:
        return bool(incident.silenced_by)
    return told is not None and quiet


def _aloud(incident: Incident, told: Told | None, nth: int, *, can_reply: bool) -> tuple[Act, ...]:
    if told is None or (told is Told.RESOLVED and not can_reply):
        return ()
    return (_act(ActKind.REPLY if can_reply else ActKind.POST, incident, told, nth),)


def _act(kind: ActKind, incident: Incident, told: Told | None = None, nth: int = 0) -> Act:
    return Act(kind, incident.id, incident.version, told, nth)
