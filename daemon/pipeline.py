"""One poll from reading to incidents: Snapshot -> Delta -> rules -> Judgements -> the engine."""

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from alerts.bound import BoundRule
from alerts.engine import EVERYWHERE, Engine
from daemon.clock import Now
from daemon.judging import RULE_FAILED, judged
from daemon.memory import Memory
from daemon.names import Names
from daemon.reading import own_reading
from daemon.recorder import Recorder
from daemon.statements import Statements, reading_of
from pgvigil.model.availability import Availability
from pgvigil.model.facts import Facts
from pgvigil.model.failure import Failure
from pgvigil.model.finding import Judgement
from pgvigil.model.kind import TargetKind
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Collector, Context, Peer
from pgvigil.postgres.session import Session
from pgvigil.store import StoreError

log = structlog.get_logger(__name__)

PARK_S = 600.0  # a rule that threw is left alone for this long
_AVAILABILITY = "availability"  # the one collector's feed that comes also while the target is down
_FRESHNESS = "freshness"


Kept = Callable[[Snapshot[Any], Collector[Any], Facts], None]


def _forgets(_snapshot: Snapshot[Any], _collector: Collector[Any], _facts: Facts) -> None:
    """No history of readings is kept."""


class Pipeline:
    """Of one target. Called from its lanes' workers; the engine serialises what reaches the incidents."""

    def __init__(
        self,
        target: str,
        *,
        now: Now,
        rules: Mapping[str, BoundRule],
        engine: Engine,
        recorder: Recorder,
        statements: Statements,
        memory: Memory | None = None,
        peers: Callable[[], Sequence[Peer]] = tuple,
        disk_size_bytes: float | None = None,
        kind: TargetKind = TargetKind.POSTGRES,
        keep: Kept = _forgets,
    ) -> None:
        self.memory = memory or Memory()
        self.disk_size_bytes = disk_size_bytes
        self._peers = peers
        self._keep = keep
        self._kind = kind
        self.relations = Names()
        self.rule_errors: Counter[str] = Counter()
        self.facts: Facts | None = None
        self.database_names: Mapping[int, str] = {}
        self._target = target
        self._now = now
        self._rules = rules
        self._engine = engine
        self._recorder = recorder
        self._statements = statements
        self._previous: dict[tuple[str, str | None], Any] = {}
        self._parked: dict[str, float] = {}
        self._closed = False

    @property
    def rules(self) -> Mapping[str, BoundRule]:
        """Those in force."""
        return self._rules

    @property
    def texts_failure(self) -> Failure | None:
        """Why the texts of statements could not be read the last time; None where they could."""
        return self._statements.texts_failure

    def configure(self, rules: Mapping[str, BoundRule]) -> None:
        """Judge by these from the next reading on. One that threw gets another chance when it is not the same."""
        before, self._rules = self._rules, rules
        for name in tuple(self._parked):
            if rules.get(name) != before.get(name):
                self._parked.pop(name, None)

    def latest(self, feed: str, database: str | None = None) -> Snapshot[Any] | Delta[Any] | None:
        """The last reading of a feed, for other targets of the same cluster."""
        return self._previous.get((feed, database))

    def remember(self, snapshot: Snapshot[Any], collector: Collector[Any], facts: Facts) -> None:
        """Keep what `collector` says is to be kept of a reading of the server of `facts`."""
        if not self._closed:
            self.memory.take(snapshot, collector, facts.system_identifier)
            self._keep(snapshot, collector, facts)

    def forget(self, feed: str) -> None:
        """It is read no more: should it be again, nothing is compared with what was read before."""
        self.memory.forget(feed)
        for key in [key for key in tuple(self._previous) if key[0] == feed]:
            self._previous.pop(key, None)

    def close(self) -> None:
        """What lanes that are still leaving read is judged no more."""
        self._closed = True

    def take(self, snapshot: Snapshot[Any], session: Session) -> None:
        """Judge a fresh reading of `session`."""
        if self._closed:
            return
        feed, database = snapshot.collector, snapshot.database
        reading = reading_of(snapshot, self._statements, self.database_names)
        if reading is not snapshot:
            self._recorder.publish(statements=self._statements.series(self.database_names))
            # Only to hear whose texts the rules want to show: a statement may be seen just this once.
            self._judgements(feed, database, reading, session.facts, self._now())
            self._statements.fetch_texts(session, self._now())
            self._recorder.publish(top=self._statements.top(self.database_names))
        self._judge(feed, database, reading, session.facts)

    def judge(self, snapshot: Snapshot[Any], facts: Facts) -> None:
        """Judge a reading that nobody has a session of: one that is played from a file."""
        self._judge(snapshot.collector, snapshot.database, reading_of(snapshot, self._statements), facts)

    def lost(self, collector: str, database: str | None, failure: Failure) -> None:
        """A reading that did not come: the incidents that stand on it become unknown.

        That the server does not answer is itself a reading of its availability; see `unavailable`.
        """
        if collector != _AVAILABILITY:
            self._uncovered(collector, database, failure.message)

    def unavailable(self, availability: Availability, moment: Moment, *, told: bool) -> None:
        """No session with the target. `told` says that a rule on availability tells of it; otherwise the
        freshness of what is not read does, and is judged all the while.
        """
        reason = availability.failure.message if availability.failure else "the target cannot be reached"
        # Rules that watch what is still judged answer for themselves.
        seeing = {_AVAILABILITY} if told else {_AVAILABILITY, _FRESHNESS}
        blind = [name for name, bound in self._rules.items() if seeing.isdisjoint(bound.rule.watches)]
        self._tell(lambda: self._engine.not_covered(blind, EVERYWHERE, reason, moment))
        self._judge_internal(_AVAILABILITY, availability, 0.0, moment)

    def freshness(self, moment: Moment, interval_s: float) -> None:
        """Judge how far behind the readings were at `moment`.

        While nothing is behind and nothing was told, the rules are not asked: with 200 targets that would be a
        tenth of all work. Less than one interval is nothing to any of them.
        """
        rules = {name for name, bound in self._rules.items() if _FRESHNESS in bound.rule.watches}
        told = any(one.rule in rules for one in self._engine.open())
        if told or self._recorder.most_missed(moment) >= 1.0:
            self._judge_internal(_FRESHNESS, self._recorder.freshness(moment), interval_s, self._now())

    def server_changed(self, moment: Moment) -> None:
        """Restarted, or another one in its place: incidents of its sessions are at an end."""
        self._tell(lambda: self._engine.server_changed(moment))

    def databases_are(self, names: Mapping[int, str], moment: Moment) -> None:
        """All databases of the server, by oid. Incidents of any other end: it was dropped, perhaps while
        nobody was looking.
        """
        before, self.database_names = self.database_names, names
        present = {None, *names.values()}
        for key in [key for key in tuple(self._previous) if key[1] not in present]:  # other lanes add to it
            del self._previous[key]
        for gone in {incident.database for incident in self._engine.open()} - present:
            if gone is not None:
                renamed = next((names.get(oid) for oid, name in before.items() if name == gone), None)
                self._tell(partial(self._engine.database_dropped, gone, moment, renamed=renamed))

    def databases_watched(self, watched: Collection[str], feeds: Collection[str], moment: Moment) -> None:
        """Only these are looked into by the collectors `feeds`: what their rules said of others is at an end.

        The patterns may have changed between two runs; those incidents would stand as they are for good.
        """
        self.memory.retain(watched)
        rules = {name for name, bound in self._rules.items() if {*bound.rule.watches} <= {*feeds}}
        left = {one.database for one in self._engine.open() if one.rule in rules} - {None, *watched}
        for database in left:
            if database is not None:
                self._tell(partial(self._engine.database_left, database, rules, moment))

    def _judge_internal(self, feed: str, rows: Any, interval_s: float, moment: Moment) -> None:
        """Readings that pgvigil makes of itself."""
        self._judge(feed, None, own_reading(self._target, feed, rows, interval_s, moment), self.facts)

    def _judge(
        self, feed: str, database: str | None, reading: Snapshot[Any] | Delta[Any], facts: Facts | None
    ) -> None:
        moment = self._now()
        judgements = self._judgements(feed, database, reading, facts, moment)
        self._previous[feed, database] = reading
        if judgements:
            self._tell(lambda: self._engine.observe(feed, judgements, moment))

    def _judgements(
        self,
        feed: str,
        database: str | None,
        reading: Snapshot[Any] | Delta[Any],
        facts: Facts | None,
        moment: Moment,
    ) -> list[tuple[str, Judgement]]:
        context = Context(
            target=self._target,
            now=moment.utc,
            previous=self._previous.get((feed, database)),
            facts=facts,
            text=self._statements.text,
            relation=self.relations,
            database_names=self.database_names,
            history=partial(self.memory.points, feed, database),
            changes=self.memory.changes(feed, database),
            peers=self._peers(),
            disk_size_bytes=self.disk_size_bytes,
            kind=self._kind,
        )
        return [
            (name, judgement)
            for name, bound in self._watching(feed, moment)
            if (judgement := self._evaluate(name, bound, reading, context, moment)) is not None
        ]

    def _watching(self, feed: str, moment: Moment) -> Iterable[tuple[str, BoundRule]]:
        for name, bound in self._rules.items():
            if feed in bound.rule.watches and self._parked.get(name, 0.0) <= moment.mono_s:
                yield name, bound

    def _evaluate(
        self,
        name: str,
        bound: BoundRule,
        reading: Snapshot[Any] | Delta[Any],
        context: Context,
        moment: Moment,
    ) -> Judgement | None:
        judgement = judged(bound, reading, context)
        if judgement is None:
            self._parked[name] = moment.mono_s + PARK_S
            self.rule_errors[name] += 1
            self._tell(lambda: self._engine.not_covered([name], EVERYWHERE, RULE_FAILED, moment))
        return judgement

    def _uncovered(self, feed: str, database: str | None, reason: str) -> None:
        names = [name for name, bound in self._rules.items() if feed in bound.rule.watches]
        if names:
            where = EVERYWHERE if database is None else database
            self._tell(lambda: self._engine.not_covered(names, where, reason, self._now()))

    def _tell(self, happening: Callable[[], None]) -> None:
        """Have the engine take it in. What cannot be written does not hold: the next reading brings it again."""
        if self._closed:
            return
        with contextlib.suppress(StoreError):  # counted and logged by the engine
            happening()
        self._recorder.publish(incidents=self._engine.open())
