"""What the heaviest statements did in the last minutes, for people who look now."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pgvigil.model.snapshot import Delta
from pgvigil.statements import StatementChanges
from queries.topk import Member, Series

WINDOW_S = 300.0


@dataclass(frozen=True, slots=True)
class Spent:
    """One statement's part of the window; `share` of the server's execution time, None when there was none."""

    dbid: int
    queryid: int
    calls: int
    exec_s: float
    rows: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Window:
    """The heaviest first. `exec_s` is the execution time of all statements, of those without a row here too."""

    since: datetime
    until: datetime
    elapsed_s: float
    exec_s: float
    spent: tuple[Spent, ...]


@dataclass(frozen=True, slots=True)
class _Interval:
    """`after` are the members' running sums at its end."""

    since: datetime
    until: datetime
    elapsed_s: float
    exec_s: float
    after: Mapping[Member, Series]


class Recent:
    """Of one target. `take` every delta in turn, with the sticky top's series after it."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._intervals: deque[_Interval] = deque()
        self._before: Mapping[Member, Series] = {}  # the sums where the window begins

    def take(self, delta: Delta[StatementChanges], series: tuple[Series, ...]) -> None:
        """An interval that cannot be told ends the window: a figure of it would be too low."""
        after = {
            (each.dbid, each.queryid): each
            for each in series
            if each.dbid is not None and each.queryid is not None
        }
        if delta.unknown is not None:
            self._intervals.clear()
            self._before = after
            return
        exec_s = delta.rows.exec_ms / 1000
        self._intervals.append(_Interval(delta.since, delta.until, delta.elapsed_s, exec_s, after))
        while self._elapsed_s() - self._intervals[0].elapsed_s >= self._window_s:
            self._before = self._intervals.popleft().after

    @property
    def window(self) -> Window | None:
        """None while no interval can be told."""
        if not self._intervals:
            return None
        first, last = self._intervals[0], self._intervals[-1]
        exec_s = sum(interval.exec_s for interval in self._intervals)
        spent = (self._spent(member, now, exec_s) for member, now in last.after.items())
        heaviest = sorted((each for each in spent if each.calls), key=lambda each: -each.exec_s)
        return Window(first.since, last.until, self._elapsed_s(), exec_s, tuple(heaviest))

    def _elapsed_s(self) -> float:
        return sum(interval.elapsed_s for interval in self._intervals)

    def _spent(self, member: Member, now: Series, all_exec_s: float) -> Spent:
        before = self._before.get(member)
        if before is None or before.calls > now.calls:  # it became a member within the window
            before = Series(*member, 0, 0.0, 0, 0)
        exec_s = now.exec_s - before.exec_s
        share = exec_s / all_exec_s if all_exec_s > 0 else None
        return Spent(*member, now.calls - before.calls, exec_s, now.rows - before.rows, share)
