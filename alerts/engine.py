"""The incidents of one target: readings go in, transitions are written, and only then hold."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Protocol

import structlog

from alerts.book import Book, Draft
from alerts.bound import BoundRule
from alerts.correlate import Family, family
from alerts.elsewhere import Elsewhere
from alerts.evaluation import Evaluation, Silenced, no_silence
from alerts.markers import Near, nothing_near
from alerts.noticed import NearOfRule, nothing_noticed
from alerts.relations import Relations
from alerts.routes import Recipient
from alerts.timers import REOPEN_WITHIN_S
from alerts.tracked import Labels
from pgvigil.model.action import Action, Outcome
from pgvigil.model.delivery import Want
from pgvigil.model.finding import Judgement, is_session_key
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.moment import Moment
from pgvigil.store.errors import StoreError
from pgvigil.text import one_line

log = structlog.get_logger(__name__)

RULE_REMOVED = "the rule was removed or switched off"
DATABASE_DROPPED = "the database was dropped or is no longer watched"
SERVER_CHANGED = "the server was restarted, or another one has taken its place: its sessions are gone"
TARGET_REMOVED = "the target is no longer watched"
_CLOCK_STEP_S = 2.0  # a wall clock that moves this much against the monotonic one was set, not slewed


class Everywhere(Enum):
    """In every database and on the server itself."""

    EVERYWHERE = "everywhere"


EVERYWHERE: Final = Everywhere.EVERYWHERE


class IncidentStore(Protocol):
    """What the engine needs of the store. Every method raises StoreError when nothing was read or written."""

    def commit(
        self, transitions: Sequence[Transition], wants: Sequence[Want], done: Sequence[Action] = ()
    ) -> list[Incident]:
        """Write all or nothing, with the actions of people that led there.

        Returns the incidents as stored, in the order of `transitions`, with their ids.
        Every sink that was ever to reflect an incident must reflect its new version too, wanted here or not:
        `wants` names only those that the routes name today.
        """

    def announce(self, incidents: Sequence[Incident], wants: Sequence[Want]) -> int:
        """Sinks that were never to reflect these incidents are to from now on; how many of `wants` were new."""

    def open(self, target: str) -> list[Incident]: ...

    def recent(self, target: str, since: datetime) -> list[Incident]:
        """Those resolved at `since` or later, the oldest first."""


@dataclass(frozen=True, slots=True)
class _Judging:
    """What incidents are judged by; replaced as a whole, so that no evaluation sees half of a change.

    `ends` says why an incident of any other rule is over.
    """

    rules: Mapping[str, BoundRule]
    family: Family
    labels: Labels
    ends: str

    @classmethod
    def of(cls, rules: Mapping[str, BoundRule], labels: Mapping[str, str], ends: str) -> "_Judging":
        related = family({name: bound.rule for name, bound in rules.items()})
        return cls(rules, related, tuple(sorted(labels.items())), ends)


class Engine:
    """Thread-safe; one evaluation of a target at a time.

    Every method that changes something raises StoreError when that could not be written: it is counted and
    logged here, nothing of it holds, and the next evaluation tries again. `on_commit` is called with what
    was written, outside the lock. `elsewhere` is what the engines of all targets share.
    """

    def __init__(
        self,
        target: str,
        labels: Mapping[str, str],
        rules: Mapping[str, BoundRule],
        store: IncidentStore,
        route: Callable[[Incident], Sequence[Recipient]],
        on_commit: Callable[[Sequence[Transition]], None],
        elsewhere: Elsewhere | None = None,
        silenced: Silenced = no_silence,
        *,
        near: Near = nothing_near,
        noticed: NearOfRule = nothing_noticed,
        relations: Callable[[], Relations] = Relations,
    ) -> None:
        self._target = target
        self._judging = _Judging.of(rules, labels, RULE_REMOVED)
        self._store = store
        self._route = route
        self._on_commit = on_commit
        self._silenced = silenced
        self._near = near
        self._noticed = noticed
        self._relations = relations
        self._elsewhere = elsewhere or Elsewhere()
        self._lock = threading.Lock()
        self._book = Book()
        self._clock_offset_s: float | None = None
        self._store_failures = 0

    # --- its own configuration --------------------------------------------------------------------------

    def configure(self, labels: Mapping[str, str], rules: Mapping[str, BoundRule]) -> None:
        """Judge by these from the next reading on; what is under way goes on. At once: `catch_up` does the rest."""
        self._judging = _Judging.of(rules, labels, RULE_REMOVED)

    def retire(self) -> None:
        """The target is no longer watched: nothing opens any more, and `catch_up` ends what is open."""
        self._judging = _Judging.of({}, {}, TARGET_REMOVED)

    def catch_up(self, moment: Moment) -> None:
        """Without a reading: end the incidents of rules that are gone, and tell of what fires whoever the
        routes name by now and did not before.
        """
        self._evaluate("configuration", moment, lambda _evaluation: None)
        if self._announce():
            self._on_commit(())

    # --- what happens -----------------------------------------------------------------------------------

    def load(self, moment: Moment) -> None:
        """Take up what the store holds: what is open, and what ended within the hour.

        Nothing resolves by this, except incidents of rules that are no longer there. Where that cannot be
        written the next evaluation tries again.
        """
        since = moment.utc - timedelta(seconds=REOPEN_WITHIN_S)
        book = Book()
        for incident in (*self._store.recent(self._target, since), *self._store.open(self._target)):
            book.restore(incident, moment)
        with self._lock:
            self._book = book
            self._clock_offset_s = _offset_s(moment)
            self._show()
        with contextlib.suppress(StoreError):  # other targets may not have been loaded yet
            self._evaluate("configuration", moment, lambda evaluation: evaluation.expect_others())

    def observe(self, feed: str, readings: Sequence[tuple[str, Judgement]], moment: Moment) -> None:
        """The answers of the rules that watch `feed` to one reading of it."""
        judgements = dict(readings)
        self._evaluate(feed, moment, lambda evaluation: evaluation.observe(judgements))

    def not_covered(
        self, rules: Iterable[str], database: str | Everywhere | None, reason: str, moment: Moment
    ) -> None:
        """Nobody could look for those rules: in one database, on the server itself (None), or EVERYWHERE."""
        self._evaluate(
            "not covered", moment, lambda evaluation: evaluation.not_covered(rules, _inside(database), reason)
        )

    def database_dropped(self, name: str, moment: Moment, *, renamed: str | None = None) -> None:
        """Nobody finds it under this name any more; `renamed` is the one that it has now, if it is still there."""
        reason = (
            DATABASE_DROPPED if renamed is None else f"the database was renamed to {one_line(renamed, 63)}"
        )
        self._gone(lambda incident: incident.database == name, reason, moment)

    def database_left(self, name: str, rules: Collection[str], moment: Moment) -> None:
        """It is still there, and is no longer looked into for those rules."""
        self._gone(
            lambda incident: incident.database == name and incident.rule in rules, DATABASE_DROPPED, moment
        )

    def server_changed(self, moment: Moment) -> None:
        """The server began anew, or it is another one: no session of before is there any more."""
        self._gone(lambda incident: is_session_key(incident.subject), SERVER_CHANGED, moment)

    def act(self, action: Action, moment: Moment) -> Outcome | None:
        """What somebody does to one incident, once it is written; None when it ended long ago, or never was here."""
        outcomes: list[Outcome | None] = []
        self._evaluate("action", moment, lambda evaluation: outcomes.append(evaluation.act(action)))
        return outcomes[0]

    # --- what there is ----------------------------------------------------------------------------------

    def open(self) -> tuple[Incident, ...]:
        """The open incidents as of the last evaluation, pending ones included, by id."""
        with self._lock:
            incidents = [tracked.incident for tracked in self._book.open()]
        return tuple(sorted(incidents, key=lambda incident: incident.id))

    def counts(self) -> Counter[tuple[str, str, State]]:
        """How many incidents are open, by rule, severity and state."""
        return Counter((one.rule, one.severity.word, one.state) for one in self.open())

    @property
    def store_failures(self) -> int:
        """Evaluations whose outcome could not be written, since the start."""
        return self._store_failures

    # --- one evaluation ---------------------------------------------------------------------------------

    def _gone(self, concerned: Callable[[Incident], bool], reason: str, moment: Moment) -> None:
        self._evaluate("gone", moment, lambda evaluation: evaluation.gone(concerned, reason))

    def _evaluate(self, feed: str, moment: Moment, work: Callable[[Evaluation], None]) -> None:
        written: list[Transition] = []
        try:
            with self._lock:
                self._write(feed, moment, work, written)
        finally:
            if written:
                self._on_commit(written)

    def _write(
        self, feed: str, moment: Moment, work: Callable[[Evaluation], None], written: list[Transition]
    ) -> None:
        self._follow_clock(moment)
        draft = self._draft(moment, work)
        written += self._commit(feed, draft)
        if draft.deferred:  # children of incidents that have an id only now
            written += self._commit(feed, self._draft(moment, lambda _evaluation: None))
        self._book.forget_old(moment)
        self._show()

    def _show(self) -> None:
        """Tell the others what says of this target as a whole that it cannot be looked into, and did within the hour,
        and what keeps theirs quiet by the configuration.
        """
        over_all, relations = self._judging.family.over_all, self._relations()
        fired = (one for one in self._book.incidents() if one.fired_at)
        said = tuple(one for one in fired if one.rule in over_all or relations.may_inhibit(one))
        self._elsewhere.say(self._target, said)

    def _follow_clock(self, moment: Moment) -> None:
        """After a step of the wall clock the stamps of what is open are put in terms of the new one."""
        before_s, self._clock_offset_s = self._clock_offset_s, _offset_s(moment)
        if before_s is not None and abs(self._clock_offset_s - before_s) > _CLOCK_STEP_S:
            self._book.restamp(timedelta(seconds=self._clock_offset_s - before_s))

    def _draft(self, moment: Moment, work: Callable[[Evaluation], None]) -> Draft:
        judging = self._judging
        evaluation = Evaluation(
            self._book,
            rules=judging.rules,
            family=judging.family,
            target=self._target,
            labels=judging.labels,
            moment=moment,
            elsewhere=self._elsewhere.beyond(self._target),
            silenced=self._silenced,
            near=self._near,
            noticed=self._noticed,
            heard_by=lambda incident: _sinks(self._route(incident)),
            relations=self._relations(),
        )
        work(evaluation)
        evaluation.keep_to_rules(judging.ends)
        evaluation.settle()
        return evaluation.draft

    def _commit(self, feed: str, draft: Draft) -> list[Transition]:
        transitions = list(draft.transitions.values())
        stored: list[Incident] = []
        if transitions:
            try:
                wants = self._wants(transitions, draft.deferred)
                stored = self._store.commit(transitions, wants, draft.actions)
            except StoreError as error:
                self._book = draft.unwritten(self._book)
                self._not_written(feed, error)
                raise
        self._book = draft.applied(stored)
        return [replace(one, after=after) for one, after in zip(transitions, stored, strict=True)]

    def _announce(self) -> int:
        """How many sinks are new to something that fires."""
        with self._lock:
            fired = [tracked.incident for tracked in self._book.fired()]
            wants = [
                Want(index, recipient.sink, incident.severity, recipient.mention)
                for index, incident in enumerate(fired)
                for recipient in self._route(incident)
            ]
            try:
                return self._store.announce(fired, wants) if wants else 0
            except StoreError as error:
                self._not_written("configuration", error)
                raise

    def _not_written(self, feed: str, error: StoreError) -> None:
        self._store_failures += 1
        log.warning("incidents_not_written", target=self._target, feed=feed, error=str(error))

    def _wants(self, transitions: Sequence[Transition], deferred: Collection[str]) -> list[Want]:
        """Who is to reflect what. Nobody hears of an incident that has not fired, nor yet of one that will be
        another's child as soon as that has its id.
        """
        return [
            Want(index, recipient.sink, transition.after.severity, recipient.mention)
            for index, transition in enumerate(transitions)
            if _to_be_told(transition) and transition.after.fingerprint not in deferred
            for recipient in self._route(transition.after)
        ]


def _sinks(recipients: Sequence[Recipient]) -> frozenset[str]:
    return frozenset(recipient.sink for recipient in recipients)


def _offset_s(moment: Moment) -> float:
    return moment.utc.timestamp() - moment.mono_s


def _to_be_told(transition: Transition) -> bool:
    before, after = transition.before, transition.after
    news = before is None or after.version > before.version
    return news and after.fired_at is not None


def _inside(database: str | Everywhere | None) -> Callable[[Incident], bool]:
    return lambda incident: database is EVERYWHERE or incident.database == database
