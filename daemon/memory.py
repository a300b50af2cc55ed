"""What pgvigil remembers of one target's readings: values over time, and what changed.

`daemon.remembering` keeps it over restarts: it takes what the store lacks, and gives it back where the store fails.
"""

import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite

import structlog

from pgvigil.model.change import IDENTITY, Change
from pgvigil.model.history import History, KeptChange, KeptJournal, KeptSeries, Place, SeriesName, Unsaved
from pgvigil.model.series import Point, Sample
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector
from pgvigil.track import Track

log = structlog.get_logger(__name__)

MOST_SERIES = 2000  # of one target; what comes later is not remembered
OF_DATABASES = 1500  # of these: many databases leave room for what is about the server
MOST_CHANGES = 200  # of one feed and database
MOST_UNSAVED = 2000  # changes that wait for a store that fails
UNSEEN = timedelta(days=7)  # that a series is not seen where others are: then it is forgotten
UNWRITTEN = timedelta(days=1)  # then a journal is written whole: the store may have dropped it as old
_NEVER = datetime.min.replace(tzinfo=UTC)

Group = tuple[Place, str]  # one series of a collector, by key


class _Held:
    """One series. `fresh`: the store lacks some of it."""

    __slots__ = ("epoch", "fresh", "track")

    def __init__(self, epoch: str, track: Track, *, fresh: bool) -> None:
        self.epoch = epoch
        self.track = track
        self.fresh = fresh


class Memory:
    """Thread-safe: the lanes of a target bring readings at once. `on_change` is called when a journal has changed."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self.restored = False  # whether what the store has was looked at
        self.dropped = 0  # samples of series that were too many, since the start
        self._on_change = on_change
        self._lock = threading.Lock()
        self._series: defaultdict[Group, dict[str, _Held]] = defaultdict(dict)
        self._count = 0
        self._known: dict[Place, tuple[datetime, Mapping[str, str]]] = {}
        self._changes: dict[Place, deque[Change]] = {}
        self.revision = 0  # differs when changes do
        self._cluster: int | None = None
        self._read_at: dict[Place, datetime] = {}
        self._anew = False
        self._gone_series: set[SeriesName] = set()
        self._gone_feeds: set[str] = set()
        self._gone_databases: set[str] = set()
        self._fresh_journals: set[Place] = set()
        self._fresh_changes: deque[KeptChange] = deque(maxlen=MOST_UNSAVED)

    # --- readings ---------------------------------------------------------------------------------------

    def take(
        self, snapshot: Snapshot[object], collector: Collector[object], cluster: int | None = None
    ) -> None:
        """Remember what `collector` says is to be remembered of its reading, of the `cluster` with that identifier:
        nothing is compared with what another one said.
        """
        if not collector.series and collector.journal is None:
            return
        changed = False
        with self._lock:
            self._be_of(cluster, snapshot.target)
            place = Place(snapshot.collector, snapshot.database)
            self._read_at[place] = snapshot.taken_at
            for series, samples_of in collector.series.items():
                group = self._series[place, series]
                for sample in samples_of(snapshot.rows):
                    self._add(group, sample, snapshot)
            if collector.journal is not None:
                changed = self._compare(place, snapshot.taken_at, collector.journal(snapshot.rows))
        if changed:
            self._on_change()

    @property
    def series(self) -> int:
        """How many are remembered."""
        return self._count

    def points(self, feed: str, database: str | None, series: str, key: str = "") -> Sequence[Point]:
        """Of one series, the oldest first."""
        with self._lock:
            held = self._series.get((Place(feed, database), series), {}).get(key)
            return () if held is None else tuple(held.track)

    def changes(self, feed: str, database: str | None) -> Sequence[Change]:
        """Of one feed's journal, the oldest first."""
        with self._lock:
            return tuple(self._changes.get(Place(feed, database), ()))

    def forget(self, feed: str) -> None:
        """It is read no more: should it be again, nothing is compared with what was read before."""
        with self._lock:
            self._drop(lambda place: place.feed == feed)
            self._gone_feeds.add(feed)

    def retain(self, databases: Collection[str]) -> None:
        """Only these are read: what comes later under the name of one that is gone is another one."""
        with self._lock:
            places = {*self._known, *self._changes, *(place for place, _ in self._series)}
            gone = {place.database for place in places if place.database is not None}.difference(databases)
            if not gone:
                return
            self._drop(lambda place: place.database in gone)
            for place in [place for place in self._changes if place.database in gone]:
                del self._changes[place]
            self.revision += 1
            self._fresh_changes = deque(
                (each for each in self._fresh_changes if each.place.database not in gone), MOST_UNSAVED
            )
            self._gone_databases.update(gone)

    def _be_of(self, cluster: int | None, target: str) -> None:
        if cluster is None or cluster == self._cluster:
            return
        before, self._cluster = self._cluster, cluster
        if before is None:
            return
        log.info("history_anew", target=target, before=before, now=cluster)
        # Who keeps a journal of the identity itself is told of the change; the rest has nothing to do with it.
        identities = {
            place: (at, {IDENTITY: known[IDENTITY]})
            for place, (at, known) in self._known.items()
            if IDENTITY in known
        }
        self._drop(lambda _place: True)
        self._changes.clear()
        self.revision += 1
        self._fresh_changes.clear()
        self._gone_series.clear()
        self._known = dict(identities)
        self._anew = True

    def _drop(self, which: Callable[[Place], bool]) -> None:
        for group in [group for group in self._series if which(group[0])]:
            self._count -= len(self._series.pop(group))
        for place in [place for place in self._known if which(place)]:
            del self._known[place]
            self._fresh_journals.discard(place)
        for place in [place for place in self._read_at if which(place)]:
            del self._read_at[place]

    def _add(self, group: dict[str, _Held], sample: Sample, snapshot: Snapshot[object]) -> None:
        held = group.get(sample.key)
        if not isfinite(sample.value) or (held is None and self._is_full(snapshot)):
            return
        if held is None:
            self._count += 1
            held = group[sample.key] = _Held(sys.intern(sample.epoch), Track(), fresh=True)
        elif held.epoch != sample.epoch:
            held.epoch, held.track = sys.intern(sample.epoch), Track()
        held.track.add(snapshot.taken_at, sample.value)
        held.fresh = True

    def _is_full(self, snapshot: Snapshot[object]) -> bool:
        most = MOST_SERIES if snapshot.database is None else OF_DATABASES
        if self._count < most:
            return False
        if not self.dropped:
            log.warning("series_dropped", target=snapshot.target, collector=snapshot.collector, most=most)
        self.dropped += 1
        return True

    def _compare(self, place: Place, at: datetime, now: Mapping[str, str]) -> bool:
        """Whether anything is different from before."""
        before_at, before = self._known.get(place, (at, None))
        if now == before:
            self._known[place] = at, before
            if at - before_at > UNWRITTEN:
                self._fresh_journals.add(place)
            return False
        self._known[place] = at, now
        self._fresh_journals.add(place)
        if before is None:
            return False
        changes = self._changes.setdefault(place, deque(maxlen=MOST_CHANGES))
        for key in _different(before, now):
            old, new = before.get(key), now.get(key)
            after = min(before_at, at)  # the clock may have been set back
            change = Change(database=place.database, key=key, old=old, new=new, after=after, at=at)
            changes.append(change)
            self.revision += 1
            self._fresh_changes.append(KeptChange(place, change))
        return True

    # --- over restarts ----------------------------------------------------------------------------------

    def restore(self, history: History) -> None:
        """Take up what was remembered before the start; what was read since then comes after it."""
        with self._lock:
            self.restored = True
            if None not in (self._cluster, history.cluster) and self._cluster != history.cluster:
                self._anew = True
                self._restore_changes((), [each for each in history.journals if IDENTITY in each.known])
                return
            self._cluster = self._cluster or history.cluster
            for series in history.series:
                self._restore_series(series)
            self._restore_changes(history.changes, history.journals)
            for journal in history.journals:
                self._known.setdefault(journal.place, (journal.seen_at, journal.known))

    def _restore_series(self, kept: KeptSeries) -> None:
        try:
            track = Track.unpacked(kept.points)
        except ValueError as error:
            log.warning("series_unreadable", collector=kept.name.place.feed, error=str(error))
            return
        group = self._series[kept.name.place, kept.name.series]
        held = group.get(kept.name.key)
        if held is not None and held.epoch == kept.epoch:
            for point in held.track:
                track.add(point.at, point.value)
            held.track = track
        elif held is None and self._count < MOST_SERIES:
            self._count += 1
            group[kept.name.key] = _Held(sys.intern(kept.epoch), track, fresh=False)

    def _restore_changes(self, kept: Sequence[KeptChange], journals: Sequence[KeptJournal]) -> None:
        since: dict[Place, list[Change]] = {place: list(changes) for place, changes in self._changes.items()}
        meanwhile = [KeptChange(one.place, each) for one in journals for each in self._meanwhile(one)]
        self._fresh_changes = deque((*meanwhile, *self._fresh_changes), MOST_UNSAVED)
        self._changes.clear()
        for each in (*kept, *meanwhile):
            self._changes.setdefault(each.place, deque(maxlen=MOST_CHANGES)).append(each.change)
        for place, changes in since.items():
            self._changes.setdefault(place, deque(maxlen=MOST_CHANGES)).extend(changes)

    def _meanwhile(self, kept: KeptJournal) -> Iterator[Change]:
        """What changed between the store's last word and our first one, where that came before the store could be read."""
        if kept.place not in self._known:
            return
        at, now = self._known[kept.place]
        first = dict(now)
        for change in reversed(self._changes.get(kept.place, ())):
            at = change.after
            if change.old is None:
                first.pop(change.key, None)
            else:
                first[change.key] = change.old
        for key in _different(kept.known, first):
            yield Change(
                database=kept.place.database,
                key=key,
                old=kept.known.get(key),
                new=first.get(key),
                after=min(kept.seen_at, at),
                at=at,
            )

    def take_unsaved(self, *, whole: bool) -> Unsaved | None:
        """What the store lacks, which counts as saved from now on: the `whole`, or only what changed in journals.
        None where it lacks nothing.
        """
        with self._lock:
            if not whole and not self._fresh_changes:
                return None
            if whole:
                self._expire()
            fresh = {place: self._known[place] for place in self._fresh_journals}
            unsaved = Unsaved(
                anew=self._anew,
                cluster=self._cluster,
                gone_series=frozenset(self._gone_series),
                gone_feeds=frozenset(self._gone_feeds),
                gone_databases=frozenset(self._gone_databases),
                series=list(self._fresh_series()) if whole else (),
                journals=[KeptJournal(place, known, at) for place, (at, known) in fresh.items()],
                seen={place: at for place, (at, _) in self._known.items() if whole and place not in fresh},
                changes=tuple(self._fresh_changes),
            )
            self._anew = False
            for lacking in (self._gone_series, self._gone_feeds, self._gone_databases, self._fresh_journals):
                lacking.clear()
            self._fresh_changes.clear()
            return unsaved

    def give_back(self, unsaved: Unsaved) -> None:
        """The store did not take it."""
        with self._lock:
            if self._anew:  # meanwhile: what comes back is of the cluster before
                return
            self._anew = unsaved.anew
            changes = (each for each in unsaved.changes if each.place.database not in self._gone_databases)
            self._fresh_changes = deque((*changes, *self._fresh_changes), MOST_UNSAVED)
            self._gone_series.update(unsaved.gone_series)
            self._gone_feeds.update(unsaved.gone_feeds)
            self._gone_databases.update(unsaved.gone_databases)
            for series in unsaved.series:
                held = self._series.get((series.name.place, series.name.series), {}).get(series.name.key)
                if held is not None:
                    held.fresh = True
            self._fresh_journals.update(each.place for each in unsaved.journals if each.place in self._known)

    def _held(self) -> Iterator[tuple[SeriesName, _Held]]:
        for (place, series), group in self._series.items():
            for key, held in group.items():
                yield SeriesName(place, series, key), held

    def _fresh_series(self) -> Iterator[KeptSeries]:
        for name, held in self._held():
            if held.fresh:
                held.fresh = False
                yield KeptSeries(name, held.epoch, held.track.packed(), held.track.last_at)

    def _expire(self) -> None:
        """Of places that were read, when they were: after a pause of a week nothing is forgotten at once."""
        since = {place: at - UNSEEN for place, at in self._read_at.items()}
        unseen = [name for name, held in self._held() if held.track.last_at < since.get(name.place, _NEVER)]
        for name in unseen:
            del self._series[name.place, name.series][name.key]
            self._count -= 1
            self._gone_series.add(name)


def _different(before: Mapping[str, str], now: Mapping[str, str]) -> Sequence[str]:
    """The keys that do not say what they said. Of another cluster nothing else is compared."""
    if IDENTITY in before and IDENTITY in now and before[IDENTITY] != now[IDENTITY]:
        return [IDENTITY]
    return sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
