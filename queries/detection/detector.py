"""The shifts of one target's tracked statements."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from pgvigil.statements import KEY, StatementKey
from queries.detection import buckets, hints, lifecycle
from queries.detection.levels import BLOCKS, CLOCK, TIME, Judge
from queries.detection.lifecycle import CUSUM, Steps
from queries.detection.shifts import Basis, FoundBy, Phase, Series, Shift, Verdict
from queries.detection.state import Fields, State
from queries.tracked import Intervals

Rows = NDArray[np.int64]

RARE_CALLS_A_MINUTE = 2.0
QUIET_S = 86_400.0

_NAMES = {
    Series.BLOCKS: "blocks",
    Series.TIME: "time",
    Series.CALLS: "calls",
    Series.ROWS: "rows",
    Series.TEMP: "temp",
}
_TESTS = {
    lifecycle.CUSUM: FoundBy.CUSUM,
    lifecycle.MEAN: FoundBy.MEAN,
    lifecycle.BUCKETS: FoundBy.BUCKETS,
    lifecycle.FAST: FoundBy.FAST,
}
_OF_BUCKETS = ("blocks", "time", "rows", "temp")


def _fields(judges: Sequence[Judge]) -> Fields:
    found = {**buckets.FIELDS, **hints.FIELDS, **lifecycle.clock(CLOCK)}
    for judge in judges:
        found = {**found, **judge.fields}
    return found


class Detector:
    """Of one target, for one thread at a time. `take` the intervals of every reading in turn.

    It answers with the shifts whose phase changed; `open` are all that are open now, with the figures of now. What it
    knows is in `state()`: bytes, which `restore` takes after a restart. About 250 kB in memory and 100 kB saved,
    for 200 statements.
    """

    def __init__(self) -> None:
        self._time = Judge(TIME)
        self._blocks = Judge(BLOCKS)
        self._judges = {Series.BLOCKS: self._blocks, Series.TIME: self._time}
        self._state = State(_fields((self._time, self._blocks)))
        self._now_s = 0.0

    def take(self, intervals: Intervals) -> Sequence[Shift]:
        """Shifts that opened, got surer, recovered, passed or are gone with this reading."""
        self._now_s = intervals.until.timestamp()
        told = [*self._matched(intervals), *self._quiet()]
        state = self._state
        for judge in self._judges.values():
            judge.baseline.advance(state, self._now_s - buckets.BUCKET_S / 2)
            judge.baseline.refresh(state, state[f"{judge.name}.open_s"])
        steps = [(Series.CALLS, hints.calls(state, intervals))]
        common = state["calls.rate"] >= RARE_CALLS_A_MINUTE
        closed, sips = buckets.take(state, intervals)
        if len(closed):
            lifecycle.begin(state, CLOCK, _OF_BUCKETS, closed.rows, closed.began_s, closed.ended_s)
            steps += [
                (Series.ROWS, hints.returned(state, closed)),
                (Series.TEMP, hints.spilled(state, closed)),
            ]
            steps += [
                (series, judge.buckets(state, closed, common[closed.rows]))
                for series, judge in self._judges.items()
            ]
        if len(sips):
            steps += [
                (series, judge.sips(state, sips, common[sips.rows])) for series, judge in self._judges.items()
            ]
        for series, step in steps:
            told += self._told(series, step)
        for judge in self._judges.values():
            judge.hold(state, self._now_s)
        return told

    @property
    def open(self) -> tuple[Shift, ...]:
        """All shifts that are open, as they are now."""
        return tuple(
            self._shift(series, row, Phase.OPEN)
            for series, name in _NAMES.items()
            for row in np.flatnonzero(self._state[f"{name}.found"]).tolist()
        )

    def verdict(self, statement: StatementKey) -> Verdict | None:
        """What can be said of a statement; None when it is not tracked."""
        row = self._row(statement)
        if row is None:
            return None
        if not self._state["calls.rate"][row] >= RARE_CALLS_A_MINUTE:
            return Verdict.TOO_RARE
        ready = all(judge.baseline.ready(self._state, np.array([row]))[0] for judge in self._judges.values())
        return Verdict.JUDGED if ready else Verdict.LEARNING

    def accept(self, statement: StatementKey) -> None:
        """What it does now is as it should be: forget its baseline and its shifts, and learn anew."""
        row = self._row(statement)
        if row is not None:
            self._state.forget(row)
            self._stale()

    @property
    def nbytes(self) -> int:
        """Memory of all that is known."""
        return sum(column.nbytes for column in self._state.columns.values())

    def state(self) -> bytes:
        """All that is known, for `restore`."""
        return self._state.save()

    def restore(self, saved: bytes) -> bool:
        """Go on from there. False, and a clean start, when it is of another version or cannot be read."""
        self._stale()
        return self._state.load(saved)

    # --- who is there ---

    def _matched(self, intervals: Intervals) -> list[Shift]:
        """Rows for the statements of this reading; shifts of those that are no longer tracked are gone."""
        if self._state.holds(intervals.statements):
            return []
        before = self.open
        self._state.match(intervals.statements)
        self._stale()
        staying = set(intervals.keys)
        return [replace(shift, phase=Phase.GONE) for shift in before if shift.statement not in staying]

    def _quiet(self) -> Iterator[Shift]:
        """A statement that has not run enough for a day tells nothing of its shifts."""
        late = self._now_s - self._state[f"{CLOCK}.last_s"] > QUIET_S
        for series in (Series.BLOCKS, Series.TIME, Series.ROWS, Series.TEMP):
            rows = np.flatnonzero(late & (self._state[f"{_NAMES[series]}.found"] > 0))
            yield from [self._shift(series, row, Phase.GONE) for row in rows.tolist()]
            self._close(series, rows)

    def _row(self, statement: StatementKey) -> int | None:
        keys = self._state.keys
        same = np.logical_and.reduce([keys[name] == value for name, value in statement._asdict().items()])
        rows = np.flatnonzero(same)
        return int(rows[0]) if len(rows) else None

    def _stale(self) -> None:
        for judge in self._judges.values():
            judge.baseline.stale()

    # --- what is told ---

    def _told(self, series: Series, steps: Steps) -> list[Shift]:
        starts = self._state["calls.starts" if series is Series.CALLS else f"{CLOCK}.starts"]
        passed = zip(steps.passed.tolist(), steps.passed_since_s.tolist(), strict=True)
        told = [
            *(self._shift(series, row, Phase.OPEN) for row in steps.opened.tolist()),
            *(
                self._shift(series, row, Phase.RECOVERED, until_s=starts[row, -lifecycle.CALM])
                for row in steps.recovered.tolist()
            ),
            *(
                self._shift(series, row, Phase.PASSED, since_s=since_s, until_s=starts[row, -lifecycle.LAST])
                for row, since_s in passed
            ),
        ]
        self._close(series, steps.recovered)
        if len(steps.opened) and series in self._judges:
            self._judges[series].baseline.stale()
        return told

    def _close(self, series: Series, rows: Rows) -> None:
        if not len(rows):
            return
        if series in self._judges:
            self._judges[series].close(self._state, rows)
        else:
            lifecycle.close(self._state, _NAMES[series], rows)

    def _shift(
        self,
        series: Series,
        row: int,
        phase: Phase,
        *,
        since_s: float | None = None,
        until_s: float | None = None,
    ) -> Shift:
        state, name = self._state, _NAMES[series]
        before, now = self._levels(series, row)
        found = int(state[f"{name}.found"][row])
        days, coverage = self._time.baseline.basis(state, row)
        scale = float(self._judges[series].baseline(state, "scale")[row]) if series in self._judges else 0.0
        return Shift(
            statement=self._statement(row),
            series=series,
            phase=phase,
            found_by=_TESTS.get(found, FoundBy.BUCKETS),
            sure=found > CUSUM,
            since=_stamp(state[f"{name}.open_s"][row] if since_s is None else since_s),
            until=_stamp(self._now_s if until_s is None else until_s),
            before=before,
            now=now,
            factor=now / before if before > 0 else None,
            calls_per_s=float(np.nan_to_num(state["calls.rate"][row])) / 60,
            extra_s_per_s=self._extra(row),
            basis=Basis(days, coverage, scale),
        )

    def _levels(self, series: Series, row: int) -> tuple[float, float]:
        """Before and now, in the unit of the series."""
        state, name = self._state, _NAMES[series]
        level = float(state[f"{name}.level"][row])
        if series in self._judges:
            judge = self._judges[series]
            usual = float(judge.baseline(state, "expected")[row])
            before, now = judge.plain(np.array([usual, usual + level])).tolist()
            return max(0.0, before), max(0.0, now)
        if series is Series.TEMP:
            return 0.0, float(state["temp.rate"][row])
        if series is Series.ROWS:
            usual = float(state["rows.usual"][row])
            return math.exp(usual) - 1, math.exp(usual + level) - 1
        return hints.calls_before_and_now(state, row)

    def _extra(self, row: int) -> float | None:
        before_ms, now_ms = self._levels(Series.TIME, row)
        extra = (now_ms - before_ms) / 1000 * float(self._state["calls.rate"][row]) / 60
        return None if math.isnan(extra) else extra

    def _statement(self, row: int) -> StatementKey:
        keys = self._state.keys
        return StatementKey._make(keys[name][row].item() for name in KEY)


def _stamp(at_s: float) -> datetime:
    return datetime.fromtimestamp(float(at_s), UTC)
