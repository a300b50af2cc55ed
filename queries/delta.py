"""What ran between two readings of pg_stat_statements: never negative, never guessed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.postgres.frames import Frame
from pgvigil.statements import COUNTERS, KEY, StatementChanges, StatementsReading
from queries.matching import ABSENT, AMBIGUOUS, Index

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_GAP_INTERVALS = 3.0  # a longer interval says little about now


@dataclass(frozen=True, slots=True)
class _Reading:
    """A reading without the entries that our role may not see, ready to be compared."""

    entries: Frame
    index: Index
    hidden: int
    hidden_roles: Ints  # visibility is decided by role: all entries of one are hidden, or none
    meta: StatementsReading

    @classmethod
    def of(cls, reading: StatementsReading) -> "_Reading":
        visible = reading.entries["queryid"] != 0
        hidden = len(visible) - int(np.count_nonzero(visible))
        entries = _part(reading.entries, reading.entries.columns, visible) if hidden else reading.entries
        index = Index(tuple(entries[name] for name in KEY))
        return cls(entries, index, hidden, np.unique(reading.entries["userid"][~visible]), reading)


class StatementDeltas:
    """Of one target: keeps the previous complete reading. For one thread at a time."""

    def __init__(self) -> None:
        self._previous: tuple[Snapshot[StatementsReading], _Reading] | None = None

    def take(self, snapshot: Snapshot[StatementsReading]) -> Delta[StatementChanges]:
        """The change since the reading before. The counters of `snapshot` become the new ground."""
        now = _Reading.of(snapshot.rows)
        previous, self._previous = self._previous, (snapshot, now)
        if previous is None:
            return _delta(snapshot, snapshot, "this is the first reading", _none(now))
        before, then = previous
        switched = _switched(then.meta, now.meta)
        if switched:
            return _delta(before, snapshot, switched, _none(now))
        broken = _broken(then.meta, now.meta)
        changes = _none(now) if broken and not now.meta.dated else _changes(then, now)
        return _delta(before, snapshot, broken or _gap(before, snapshot), changes)


def _delta(
    before: Snapshot[StatementsReading],
    snapshot: Snapshot[StatementsReading],
    unknown: str | None,
    changes: StatementChanges,
) -> Delta[StatementChanges]:
    return Delta(
        target=snapshot.target,
        collector=snapshot.collector,
        since=before.taken_at,
        until=snapshot.taken_at,
        elapsed_s=max(0.0, snapshot.mono_s - before.mono_s),
        unknown=unknown,
        rows=changes,
    )


# --- the interval as a whole ------------------------------------------------------------------------------


def _switched(then: StatementsReading, now: StatementsReading) -> str | None:
    """Another server answers, or another role: its counters have nothing to do with those before."""
    if then.system_identifier != now.system_identifier:
        return "another server answers (its system identifier differs)"
    if then.opened.started_at != now.closed.started_at <= then.opened.read_at:
        return "another server answers (it was already running before)"
    if then.opened.in_recovery != now.closed.in_recovery or now.opened.in_recovery != now.closed.in_recovery:
        return "the server changed its role"
    return None


def _broken(then: StatementsReading, now: StatementsReading) -> str | None:
    """Something between the readings discarded counters. With `stats_since` each entry says so itself."""
    if then.opened.stats_reset != now.closed.stats_reset:
        return "the statistics were reset"
    if not now.dated and then.opened.started_at != now.closed.started_at:
        return "the server was restarted"
    return None


def _gap(before: Snapshot[StatementsReading], snapshot: Snapshot[StatementsReading]) -> str | None:
    elapsed_s = snapshot.mono_s - before.mono_s
    return f"no reading for {elapsed_s:.0f} s" if elapsed_s > _GAP_INTERVALS * snapshot.interval_s else None


# --- entry by entry ---------------------------------------------------------------------------------------


def _changes(then: _Reading, now: _Reading) -> StatementChanges:
    at = now.index.positions_in(then.index)
    base = np.where(_continued(then, now, at), at, ABSENT)
    moved = np.flatnonzero(_moved(then.entries, now.entries, base))
    base = base[moved]
    growth = _growth(then.entries, now.entries, base, moved)
    vanished = _vanished(then, at)
    doubt = _contradicts_itself(growth) | (at[moved] == AMBIGUOUS)
    disturbed = bool(doubt.any()) or bool(vanished.any())
    doubt |= (base < 0) & ~_began_since(then, now, moved, disturbed=disturbed)
    keys = _part(now.entries, KEY, moved)
    ran = Frame({**keys.columns, **growth})
    return StatementChanges(
        ran=_part(ran, ran.columns, ~doubt & (growth["calls"] > 0)),
        uncovered=_joined(_part(keys, KEY, doubt), _part(then.entries, KEY, vanished)),
        present=now.entries,
        hidden=now.hidden,
    )


def _continued(then: _Reading, now: _Reading, at: Ints) -> Flags:
    """Which entries still count from where they did."""
    known: Flags = at >= 0
    if now.meta.dated:
        known &= now.entries["stats_since"] == _taken(then.entries, "stats_since", at)
    return known


def _moved(then: Frame, now: Frame, base: Ints) -> Flags:
    """Entries that are new, or whose calls or time differ: every execution changes both."""
    moved: Flags = base < 0
    for name in ("calls", "exec_ms"):
        moved |= now[name] != _taken(then, name, base)
    return moved


def _growth(then: Frame, now: Frame, base: Ints, moved: Ints) -> dict[str, NDArray[Any]]:
    """The growth of each counter of the entries at `moved`; of new ones, since they began."""
    known = base >= 0
    return {name: now[name][moved] - np.where(known, _taken(then, name, base), 0) for name in COUNTERS}


def _contradicts_itself(growth: dict[str, NDArray[Any]]) -> Flags:
    """Entries that fell, or took time without a call: they went and came again, with other counts."""
    doubt: Flags = (growth["calls"] == 0) & (growth["exec_ms"] > 0)
    for counter in growth.values():
        doubt |= counter < 0
    return doubt


def _vanished(then: _Reading, at: Ints) -> Flags:
    """Entries that are gone: they may have run before they went."""
    gone = np.ones(len(then.entries), np.bool_)
    gone[at[at >= 0]] = False
    return gone


def _began_since(then: _Reading, now: _Reading, moved: Ints, *, disturbed: bool) -> Flags:
    """Which of the entries at `moved`, if they are new, have run all that they show since the reading before.

    A server from 17 on says when each began. An entry begins when its statement is first parsed and is shown
    when it first ends: one that is older than the reading that lacked it was running then, and counts in
    full. Earlier servers only tell of evictions: behind one, a new entry may have come, gone and come again.
    Before 14 what vanished or fell (`disturbed`) is taken for an eviction. Of a role whose entries were hidden
    from ours, all are new to us that have not begun since.
    """
    shown: Flags = ~np.isin(now.entries["userid"][moved], then.hidden_roles)
    if now.meta.dated:
        since = np.datetime64(then.meta.opened.read_at.replace(tzinfo=None))
        began: Flags = now.entries["stats_since"][moved] >= since
        return began | shown
    dealloc = now.meta.closed.dealloc
    sure = not disturbed if dealloc is None else dealloc == then.meta.opened.dealloc
    return shown & sure


def _none(reading: _Reading) -> StatementChanges:
    """No entry can be told."""
    nobody = np.zeros(len(reading.entries), np.bool_)
    return StatementChanges(
        ran=_part(reading.entries, (*KEY, *COUNTERS), nobody),
        uncovered=_part(reading.entries, KEY, ~nobody),
        present=reading.entries,
        hidden=reading.hidden,
    )


def _taken(entries: Frame, name: str, at: Ints) -> NDArray[Any]:
    """The values at `at`; anything where `at` is negative."""
    column = entries[name]
    return column[at] if len(column) else np.zeros(len(at), column.dtype)


def _part(entries: Frame, names: Iterable[str], where: Ints | Flags) -> Frame:
    return Frame({name: entries[name][where] for name in names})


def _joined(one: Frame, two: Frame) -> Frame:
    return Frame({name: np.concatenate((one[name], two[name])) for name in KEY})
