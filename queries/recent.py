"""What the heaviest statements did in the last minutes, for people who look now."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from itertools import chain
from typing import NamedTuple

from pgvigil.model.snapshot import Delta
from pgvigil.postgres.frames import Frame
from pgvigil.statements import StatementChanges
from queries.topk import Member, largest

WINDOW_S = 300.0
_KEPT = 4  # times the size: so many of each interval's heaviest statements are kept
_COLUMNS = ("dbid", "queryid", "userid", "calls", "exec_ms", "rows")


@dataclass(frozen=True, slots=True)
class Spent:
    """One statement's part of the window; `share` of the server's execution time, None when there was none.

    `userid` is a role that ran it: whose text of it can be asked for.
    """

    dbid: int
    queryid: int
    userid: int
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
    since: datetime
    until: datetime
    elapsed_s: float
    exec_s: float
    heaviest: Frame


class _Sum(NamedTuple):
    userid: int
    calls: int
    exec_ms: float
    rows: int


_NOTHING = _Sum(0, 0, 0.0, 0)


class Recent:
    """Of one target; `take` every delta in turn. Not the sticky top: who looks now asks what is heavy now.

    Of each interval the `4 * size` heaviest entries are kept, so that memory is bounded. What is shown is among
    them in every interval in which it mattered; another one can be short by what is lighter than all of those.
    """

    def __init__(self, window_s: float = WINDOW_S, *, size: int = 20) -> None:
        self._window_s = window_s
        self._size = size
        self._intervals: deque[_Interval] = deque()

    def take(self, delta: Delta[StatementChanges]) -> None:
        """An interval that cannot be told ends the window: a figure of it would be too low."""
        if delta.unknown is not None:
            self._intervals.clear()
            return
        ran = delta.rows.ran
        where = largest(ran["exec_ms"], _KEPT * self._size)
        heaviest = Frame({name: ran[name][where] for name in _COLUMNS})
        exec_s = delta.rows.exec_ms / 1000
        self._intervals.append(_Interval(delta.since, delta.until, delta.elapsed_s, exec_s, heaviest))
        while self._elapsed_s() - self._intervals[0].elapsed_s >= self._window_s:
            self._intervals.popleft()

    @property
    def window(self) -> Window | None:
        """None while no interval can be told."""
        if not self._intervals:
            return None
        first, last = self._intervals[0], self._intervals[-1]
        exec_s = sum(interval.exec_s for interval in self._intervals)
        heaviest = nlargest(self._size, self._sums().items(), key=lambda item: item[1].exec_ms)
        spent = tuple(_spent(member, summed, exec_s) for member, summed in heaviest)
        return Window(first.since, last.until, self._elapsed_s(), exec_s, spent)

    def _elapsed_s(self) -> float:
        return sum(interval.elapsed_s for interval in self._intervals)

    def _sums(self) -> dict[Member, _Sum]:
        """Roles and nesting are added up."""
        sums: dict[Member, _Sum] = {}
        kept = (
            zip(*(each.heaviest[name].tolist() for name in _COLUMNS), strict=True) for each in self._intervals
        )
        for dbid, queryid, userid, calls, exec_ms, rows in chain.from_iterable(kept):
            then = sums.get((dbid, queryid), _NOTHING)
            sums[dbid, queryid] = _Sum(userid, then.calls + calls, then.exec_ms + exec_ms, then.rows + rows)
        return sums


def _spent(member: Member, summed: _Sum, all_exec_s: float) -> Spent:
    exec_s = summed.exec_ms / 1000
    share = exec_s / all_exec_s if all_exec_s > 0 else None
    return Spent(*member, summed.userid, summed.calls, exec_s, summed.rows, share)
