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
    meta: StatementsReading

    @classmethod
    def of(cls, reading: StatementsReading) -> "_Reading":
        visible = reading.entries["queryid"] != 0
        hidden = len(visible) - int(np.count_nonzero(visible))
        entries = _part(reading.entries, reading.entries.columns, visible) if hidden else reading.entries
        return cls(entries, Index(tuple(entries[name] for name in KEY)), hidden, reading)


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
    """Another server answers: its counters have nothing to do with those before."""
    if then.system_identifier != now.system_identifier:
        return "another server answers (its system identifier differs)"
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
    growth, fell = _growth(then.entries, now.entries, base, moved)
    vanished = _vanished(then, at)
    doubt = fell | (at[moved] == AMBIGUOUS)
    if not _newcomers_counted(then.meta, now.meta, disturbed=bool(fell.any()) or bool(vanished.any())):
        doubt |= base < 0
    keys = _part(now.entries, KEY, moved)
    ran = Frame({**keys.columns, **growth})
    return StatementChanges(
        ran=_part(ran, ran.columns, ~doubt),
        uncovered=_joined(_part(keys, KEY, doubt), _part(then.entries, KEY, vanished)),
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


def _growth(then: Frame, now: Frame, base: Ints, moved: Ints) -> tuple[dict[str, NDArray[Any]], Flags]:
    """The growth of each counter of the entries at `moved`, and which entries have one that fell."""
    counters = {
        name: now[name][moved] - np.where(base >= 0, _taken(then, name, base), 0) for name in COUNTERS
    }
    fell = np.zeros(len(moved), np.bool_)
    for growth in counters.values():
        fell |= growth < 0
    return counters, fell


def _vanished(then: _Reading, at: Ints) -> Flags:
    """Entries that are gone: they may have run before they went."""
    gone = np.ones(len(then.entries), np.bool_)
    gone[at[at >= 0]] = False
    return gone


def _newcomers_counted(then: StatementsReading, now: StatementsReading, *, disturbed: bool) -> bool:
    """Whether an entry that was not there before has run only what it shows.

    Not when entries were evicted in between: it may have come, gone and come again. Before 14 nothing
    tells of evictions and resets, so an entry that vanished or fell is taken for one.
    """
    if now.dated:
        return True
    if now.closed.dealloc is None:
        return not disturbed
    return then.opened.dealloc == now.closed.dealloc


def _none(reading: _Reading) -> StatementChanges:
    """No entry can be told."""
    nobody = np.zeros(len(reading.entries), np.bool_)
    return StatementChanges(
        ran=_part(reading.entries, (*KEY, *COUNTERS), nobody),
        uncovered=_part(reading.entries, KEY, ~nobody),
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
