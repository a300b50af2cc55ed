"""How often a target is read: rarer while it is busy, and a reading that costs much rarer than one that costs little.

Nothing is asked of the server for it: the signs are how readings end, how long they take, and what `activity` saw.
"""

import statistics
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from typing import Any

from collectors.activity import ActivityReading, Session
from daemon.board import Stretch
from daemon.reading import Scheduled
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Snapshot
from pgvigil.units import format_duration

MOST = 8  # intervals grow to this many times what is configured, and no more
DOUBLE_S = 15.0  # between two doublings: what the one before does must show first
QUIET_S = 60.0  # without a sign of load before a halving
SOON_S = 30.0  # one slow answer is chance; two within this time are load
DUTY = 100  # a reading rests for this many times what it took: it keeps 1 % of one backend busy
CHEAP_S = 0.25  # a round of readings that took less does not rest longer for that; its interval was chosen
VISITS_S = 1.0  # the same of connecting to all databases of a round
IDLE = MOST  # times its interval a collector rests where it found that there is nothing for it
TRIPS = 10  # over the network to connect: TCP, TLS, authentication, and what is asked of every server
SLOW_S = 1.0  # the probe answers in a millisecond or two: now it waits for CPU
SLOWER = 10  # times what is usual
WORKING_AT_LEAST, WORKING_TIMES = 16, 4  # sessions at work, and against the median of the last hour
ENOUGH = 10  # readings before which nothing is usual
FULL_PERCENT = 95.0  # of the slots: somebody is about to be refused, and a connection of ours is one too many

_PROBE, _ACTIVITY = "availability", "activity"
_PROBES, _COUNTS, _READINGS = (
    60,
    360,
    20,
)  # remembered: 5 minutes of probes, an hour of activity at the usual pace
_SEVERAL = 5  # rounds in a row that show a habit
_TIMED_OUT = frozenset({FailureKind.TIMEOUT, FailureKind.LOCK_TIMEOUT, FailureKind.SILENT})
_AT_WORK = frozenset({None, "IO", "LWLock", "BufferPin", "IPC"})  # those of the rest wait for somebody else

Key = tuple[str, str | None]  # collector, database


class _Usual:
    """The median of the last values; None before there are enough of them."""

    def __init__(self, most: int) -> None:
        self._values: deque[float] = deque(maxlen=most)

    def add(self, value: float) -> None:
        self._values.append(value)

    @property
    def value(self) -> float | None:
        return statistics.median(self._values) if len(self._values) >= ENOUGH else None


class Strain:
    """The target's own factor: 1, 2, 4 or 8.

    It doubles with a sign of load, at most every DOUBLE_S, and halves after QUIET_S without one (and never sooner
    after it changed).
    """

    def __init__(self) -> None:
        self.stretch = Stretch()
        self._changed_s = float("-inf")
        self._signed_s = float("-inf")  # the last sign of any kind
        self._strained_s = float("-inf")  # the last that counted

    def sign(self, reason: str, moment: Moment, *, sure: bool = True, within_s: float = SOON_S) -> None:
        """One that is not `sure` counts when another came less than `within_s` before it."""
        before_s, self._signed_s = self._signed_s, moment.mono_s
        if not sure and moment.mono_s - before_s > within_s:
            return
        self._strained_s = moment.mono_s
        factor, since = self.stretch.factor, self.stretch.since or moment.utc
        if factor < MOST and moment.mono_s - self._changed_s >= DOUBLE_S:
            factor *= 2
            self._changed_s = moment.mono_s
        if factor > 1:
            self.stretch = Stretch(factor=factor, reason=reason, since=since)

    def relax(self, moment: Moment) -> None:
        """Halve it, if it is time."""
        if self.stretch.factor == 1 or moment.mono_s - max(self._changed_s, self._strained_s) < QUIET_S:
            return
        self._changed_s = moment.mono_s
        factor = self.stretch.factor // 2
        reason, since = self.stretch.reason, self.stretch.since
        self.stretch = Stretch() if factor == 1 else Stretch(factor=factor, reason=reason, since=since)

    def watched_again(self, moment: Moment) -> None:
        """Nothing was seen for a while, which is no quiet."""
        self._strained_s = (
            max(self._strained_s, moment.mono_s) if self.stretch.factor > 1 else self._strained_s
        )


class Cost:
    """What each collector's readings take of the server: the databases of one round together."""

    def __init__(self) -> None:
        self._took_s: defaultdict[str, dict[str | None, float]] = defaultdict(dict)
        self._visit_s: dict[str, float] = {}  # by database: connecting to it
        self._timeouts: Counter[Key] = Counter()  # in a row
        self._long: defaultdict[Key, deque[bool]] = defaultdict(lambda: deque(maxlen=_SEVERAL))

    def took(self, key: Key, took_s: float) -> None:
        collector, database = key
        self._took_s[collector][database] = took_s
        self._timeouts.pop(key, None)

    def visited(self, database: str, took_s: float) -> None:
        self._visit_s[database] = took_s

    def timed_out(self, key: Key) -> int:
        """How often in a row."""
        self._timeouts[key] += 1
        return self._timeouts[key]

    def round_s(self, collector: str) -> float:
        took_s = self._took_s[collector]
        visits_s = sum(self._visit_s.get(database or "", 0.0) for database in took_s)
        return sum(took_s.values()) + (visits_s if visits_s >= VISITS_S else 0.0)

    def factor(self, key: Key, interval_s: float) -> int:
        """By how much the interval must grow for what the readings take; doubled with each time-out in a row."""
        round_s = self.round_s(key[0])
        rest = 1 if round_s < CHEAP_S else -(-round_s * DUTY // interval_s)
        return int(min(MOST, max(1, rest, 2 ** min(4, self._timeouts[key]))))

    def reason(self, key: Key) -> str:
        if self._timeouts[key]:
            return "its reading does not end in time"
        return f"its readings take {format_duration(self.round_s(key[0]))}"

    def note(self, key: Key, *, long: bool) -> None:
        """After a reading: whether its interval must grow for its cost."""
        self._long[key].append(long)

    def habit(self, key: Key) -> bool | None:
        """Whether it must grow for good; None where some of the last rounds say one thing and some the other."""
        if self._timeouts[key] > 1:
            return True
        seen = self._long[key]
        return None if len({*seen}) > 1 or (any(seen) and len(seen) < _SEVERAL) else any(seen)

    def forget(self, collector: str, database: str | None, *, everywhere: bool) -> None:
        databases = tuple(self._took_s[collector]) if everywhere else (database,)
        if not everywhere:  # the database is no more
            self._visit_s.pop(database or "", None)
        for each in databases:
            self._took_s[collector].pop(each, None)
        for known in (self._timeouts, self._long):
            for key in [
                key for key in tuple(known) if key[0] == collector and (everywhere or key[1] in databases)
            ]:
                del known[key]


class Pacing:
    """Of one target. Not thread-safe: see `daemon.stretching`."""

    def __init__(self) -> None:
        self._strain = Strain()
        self._cost = Cost()
        self._probe = _Usual(_PROBES)
        self._working = _Usual(_COUNTS)
        self._usual: defaultdict[Key, _Usual] = defaultdict(lambda: _Usual(_READINGS))
        self._ticks: Counter[Key] = Counter()  # since it was due
        self._longest: dict[Key, int] = {}  # the largest factor since it was read
        self._idle: set[Key] = set()  # where there is nothing for it

    @property
    def stretch(self) -> Stretch:
        """Of the target as a whole."""
        return self._strain.stretch

    def factor(self, scheduled: Scheduled, database: str | None) -> tuple[int, str]:
        """By how much the collector's interval is stretched, and why."""
        if scheduled.collector.fixed_pace:
            return 1, ""
        key = scheduled.collector.name, database
        if key in self._idle:
            return IDLE, "there is nothing for it in this database"
        own = self._cost.factor(key, scheduled.interval_s)
        if own > self.stretch.factor:
            return own, self._cost.reason(key)
        return self.stretch.factor, self.stretch.reason

    def due(self, scheduled: Scheduled, database: str | None) -> bool:
        """A tick of its interval came: whether it is to be read now."""
        key = scheduled.collector.name, database
        factor, _ = self.factor(scheduled, database)
        self._longest[key] = max(factor, self._longest.get(key, 1))
        first = key not in self._ticks
        self._ticks[key] += 1
        if not first and self._ticks[key] < factor:
            return False
        self._ticks[key] = 0
        return True

    def awaited_s(self, scheduled: Scheduled, database: str | None) -> float:
        """The longest interval in force since it was read before, for the reading that comes now."""
        key = scheduled.collector.name, database
        factor, _ = self.factor(scheduled, database)
        longest = max(factor, self._longest.get(key, 1))
        self._longest[key] = factor
        return scheduled.interval_s * longest

    def succeeded(self, scheduled: Scheduled, snapshot: Snapshot[Any]) -> None:
        """Learn what the reading shows: the cost of it, and the load."""
        key = snapshot.collector, snapshot.database
        network_s = (self._probe.value or 0.0) * len(scheduled.collector.queries)
        self._cost.took(key, max(0.0, snapshot.duration_s - network_s))
        self._cost.note(key, long=self._costs(scheduled, snapshot.database))
        idle = scheduled.collector.idle
        (self._idle.add if idle is not None and idle(snapshot.rows) else self._idle.discard)(key)
        moment = Moment(snapshot.taken_at, snapshot.mono_s)
        within_s = max(SOON_S, 2.5 * scheduled.interval_s)
        for reason in self._signs(snapshot):
            self._strain.sign(reason, moment, sure=False, within_s=within_s)

    def visited(self, database: str, took_s: float) -> None:
        """A connection was made to a database, for what is read there."""
        self._cost.visited(database, max(0.0, took_s - TRIPS * (self._probe.value or 0.0)))

    def failed(self, key: Key, failure: Failure, moment: Moment) -> None:
        """A time-out is a sign of load; again and again by one collector it is that one's own matter."""
        if failure.kind in _TIMED_OUT and (self._cost.timed_out(key) == 1 or key[0] == _PROBE):
            self._strain.sign(f"{key[0]} was not read in time", moment)
        elif failure.kind is FailureKind.TOO_MANY_CONNECTIONS:
            self._strain.sign("the server refuses connections", moment)

    def habit(self, scheduled: Scheduled, database: str | None) -> bool | None:
        """Whether it is stretched for its own cost and will stay so; None where that is not clear."""
        return not scheduled.collector.fixed_pace and self._cost.habit((scheduled.collector.name, database))

    def relax(self, moment: Moment) -> None:
        """Called every few seconds while the target is watched: after a quiet time the intervals shrink."""
        self._strain.relax(moment)

    def watched_again(self, moment: Moment) -> None:
        """The target answers again."""
        self._strain.watched_again(moment)

    def forget(self, collector: str, database: str | None = None, *, everywhere: bool = False) -> None:
        """It is read no more (in that database, or at all)."""
        self._cost.forget(collector, database, everywhere=everywhere)
        for known in (self._ticks, self._longest, self._usual):
            for key in [
                key for key in tuple(known) if key[0] == collector and (everywhere or key[1] == database)
            ]:
                del known[key]
        self._idle = {
            key for key in self._idle if key[0] != collector or not (everywhere or key[1] == database)
        }

    def _costs(self, scheduled: Scheduled, database: str | None) -> bool:
        return self._cost.factor((scheduled.collector.name, database), scheduled.interval_s) > 1

    def _signs(self, snapshot: Snapshot[Any]) -> Iterator[str]:
        if snapshot.collector == _PROBE:
            yield from self._probed(snapshot.duration_s)
        else:
            yield from self._compared(snapshot)
        if snapshot.collector == _ACTIVITY:
            yield from self._loaded(snapshot.rows)

    def _probed(self, took_s: float) -> Iterator[str]:
        usual_s = self._probe.value
        self._probe.add(took_s)
        if took_s > SLOW_S or (usual_s is not None and took_s > max(CHEAP_S, SLOWER * usual_s)):
            yield f"a trivial query takes {format_duration(took_s)}"

    def _compared(self, snapshot: Snapshot[Any]) -> Iterator[str]:
        seen = self._usual[snapshot.collector, snapshot.database]
        usual_s = seen.value
        seen.add(snapshot.duration_s)
        if usual_s is not None and snapshot.duration_s > max(SLOW_S, SLOWER * usual_s):
            yield (
                f"reading {snapshot.collector} takes {format_duration(snapshot.duration_s)},"
                f" usually {format_duration(usual_s)}"
            )

    def _loaded(self, reading: ActivityReading) -> Iterator[str]:
        working = sum(map(_at_work, reading.sessions))
        usual = self._working.value
        self._working.add(working)
        if usual is not None and working >= max(WORKING_AT_LEAST, WORKING_TIMES * usual):
            yield f"{working} sessions are at work, usually {usual:.0f}"
        if reading.connections * 100 >= FULL_PERCENT * reading.usable:
            yield f"{reading.connections} of {reading.usable} connection slots are taken"


def _at_work(session: Session) -> bool:
    """Whether it keeps the server busy: it runs, or waits for the machine."""
    ours = session.own or not session.client_backend
    return not ours and session.state == "active" and session.wait_event_type in _AT_WORK
