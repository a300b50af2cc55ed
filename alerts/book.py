"""The incidents of one target, in memory, and a draft of what one evaluation makes of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from alerts.marks import adorn
from alerts.notes import Notes
from alerts.timers import REOPEN_WITHIN_S, restore
from alerts.tracked import Outcome, Tracked, restamped
from pgvigil.model.action import Action
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.moment import Moment


@dataclass(slots=True)
class Book:
    """The open incidents and those that ended within the hour, by fingerprint."""

    tracked: dict[str, Tracked] = field(default_factory=dict)
    notes: dict[str, Notes] = field(default_factory=dict)

    def copy(self) -> "Book":
        return Book(dict(self.tracked), dict(self.notes))

    def restore(self, incident: Incident, moment: Moment) -> None:
        """Take up an incident that was stored earlier."""
        self.tracked[incident.fingerprint] = Tracked(incident, restore(incident, moment))
        self.notes[incident.fingerprint] = Notes(own=incident.evidence.notes)

    def incidents(self) -> Iterator[Incident]:
        return (tracked.incident for tracked in self.tracked.values())

    def numbered(self, incident_id: int) -> Tracked | None:
        """The incident of that number, if it is open or ended within the hour."""
        return next((one for one in self.tracked.values() if one.incident.id == incident_id), None)

    def open(self) -> list[Tracked]:
        return [tracked for tracked in self.tracked.values() if tracked.incident.open]

    def fired(self) -> list[Tracked]:
        """Those that people may have heard of and that are not over."""
        states = (State.FIRING, State.UNKNOWN)
        return [tracked for tracked in self.tracked.values() if tracked.incident.state in states]

    def restamp(self, by: timedelta) -> None:
        """The wall clock was stepped: what is open keeps its durations."""
        for key, tracked in self.tracked.items():
            if tracked.incident.open:
                self.tracked[key] = replace(tracked, incident=restamped(tracked.incident, by))

    def forget_old(self, moment: Moment) -> None:
        """Drop what nothing can come of any more: what never fired, and what ended long ago."""
        for key, tracked in list(self.tracked.items()):
            if not tracked.incident.open and not _may_matter(tracked, moment):
                del self.tracked[key]
                self.notes.pop(key, None)


def _may_matter(tracked: Tracked, moment: Moment) -> bool:
    ended_s = tracked.timers.resolved_mono_s
    fired = tracked.incident.fired_at is not None
    return fired and ended_s is not None and moment.mono_s - ended_s <= REOPEN_WITHIN_S


class Draft:
    """A copy of the book that an evaluation changes, and the transitions that lead there.

    One incident has at most one transition in a draft: what happens to it later is folded into the first.
    """

    def __init__(self, book: Book) -> None:
        self.book = book.copy()
        self.transitions: dict[str, Transition] = {}
        self.actions: list[Action] = []  # of people, which led to some of them
        self.deferred: set[str] = (
            set()
        )  # whose mark must wait for the id of an incident that is new in this draft

    def get(self, fingerprint: str) -> Tracked | None:
        return self.book.tracked.get(fingerprint)

    def put(self, outcome: Outcome) -> None:
        if outcome.tracked is None:
            return
        key = outcome.tracked.incident.fingerprint
        earlier, later = self.transitions.get(key), outcome.transition
        tracked = outcome.tracked
        if earlier is not None:
            tracked = replace(tracked, timers=replace(tracked.timers, unwritten=False))
            later = _folded(earlier, later, tracked.incident)
        self.book.tracked[key] = tracked
        if later is not None:
            self.transitions[key] = later

    def notes(self, fingerprint: str) -> Notes:
        return self.book.notes.get(fingerprint, Notes())

    def set_notes(self, fingerprint: str, notes: Notes, moment: Moment) -> None:
        """Remember the notes, and show them in the incident that they belong to."""
        self.book.notes[fingerprint] = notes
        tracked = self.get(fingerprint)
        if tracked is not None:
            evidence = replace(tracked.incident.evidence, notes=notes.shown)
            self.put(adorn(tracked, replace(tracked.incident, evidence=evidence), moment))

    def applied(self, stored: list[Incident]) -> Book:
        """The book once the transitions are written; `stored` are their incidents as the store has them."""
        for incident in stored:
            key = incident.fingerprint
            self.book.tracked[key] = replace(self.book.tracked[key], incident=incident)
        return self.book

    def unwritten(self, before: Book) -> Book:
        """The book if the transitions could not be written: no state changes, the clocks go on.

        The next evaluation sees the same world and comes to the same transitions; what was measured of
        time meanwhile (a gap, a last sight) is not forgotten.
        """
        book = Book(self.book.tracked, before.notes)
        for key in self.transitions:
            was = before.tracked.get(key)
            now = book.tracked.pop(key)
            if was is not None:
                timers = replace(
                    now.timers,
                    refreshed_mono_s=was.timers.refreshed_mono_s,
                    resolved_mono_s=was.timers.resolved_mono_s,
                    unwritten=True,
                )
                book.tracked[key] = Tracked(was.incident, timers)
        return book


def _folded(earlier: Transition, later: Transition | None, after: Incident) -> Transition:
    """A refresh tells less than whatever came after it; anything else tells more."""
    if later is not None and earlier.kind == "refreshed":
        return replace(later, before=earlier.before, after=after)
    return replace(earlier, after=after)
