"""The statements that have series of their own in the metrics: few, and the same ones for long.

A limit alone bounds how many series there are at a time, not how many there have ever been: with a plain
top 20 the members change at every poll, and each change is a new series. So a member stays for an hour,
and then leaves only for a statement that is clearly heavier. Within the hour it leaves for one that is ten times
as heavy: on a quiet server the first members are whoever came first, and the query that ruins the next minutes
must not wait an hour for its series. That cannot happen often, because a place goes from weight to ten times
the weight, and with the half-life of weights it takes 33 minutes to lose that again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgvigil.model.snapshot import Delta
from pgvigil.postgres.frames import Frame
from pgvigil.statements import StatementChanges

Member = tuple[int, int]  # dbid, queryid: roles and nesting are added up

HALF_LIFE_S = 600.0  # how fast the past stops to count for the rank
_SUMMED = ("calls", "exec_ms", "rows", "shared_hit", "shared_read")  # what `_Account.add` takes
_WATCHED = 4  # times the size: so many of an interval's heaviest statements are ranked


class Series(NamedTuple):
    """Counters since the statement became a member, or since the start for the others (`queryid` None)."""

    dbid: int | None
    queryid: int | None
    calls: int
    exec_s: float
    rows: int
    shared_blocks: int


@dataclass(slots=True)
class _Account:
    """Running sums: they only grow, because every delta does."""

    calls: int = 0
    exec_ms: float = 0.0
    rows: int = 0
    shared_blocks: int = 0

    def add(self, calls: int, exec_ms: float, rows: int, hit: int, read: int) -> None:
        self.calls += calls
        self.exec_ms += exec_ms
        self.rows += rows
        self.shared_blocks += hit + read


class StickyTop:
    """Of one target. `take` every delta in turn; `series` are the counters now."""

    def __init__(
        self, *, size: int = 20, stay_s: float = 3600.0, lead: float = 1.2, early_lead: float = 10.0
    ) -> None:
        self._size = size
        self._stay_s = stay_s
        self._lead = lead
        self._early_lead = early_lead
        self._clock_s = 0.0  # monotonic time of the deltas
        self._scores: dict[Member, float] = {}
        self._since_s: dict[Member, float] = {}
        self._accounts: dict[Member, _Account] = {}
        self._users: dict[Member, int] = {}
        self._others = _Account()

    @property
    def series(self) -> tuple[Series, ...]:
        """The members, then all other statements together."""
        own = tuple(_series(*member, account) for member, account in self._accounts.items())
        return (*own, _series(None, None, self._others))

    @property
    def users(self) -> Mapping[Member, int]:
        """For each member a role that ran it, by oid: whose text of it can be asked for."""
        return self._users

    def take(self, delta: Delta[StatementChanges]) -> None:
        self._clock_s += delta.elapsed_s
        ran = delta.rows.ran
        self._rank(ran, delta.elapsed_s)
        self._elect()
        self._book(ran)

    def _rank(self, ran: Frame, elapsed_s: float) -> None:
        fade = 0.5 ** (elapsed_s / HALF_LIFE_S)
        scores = defaultdict(float, {member: score * fade for member, score in self._scores.items()})
        heaviest = largest(ran["exec_ms"], _WATCHED * self._size)
        for dbid, queryid, exec_ms in _rows(ran, heaviest, "dbid", "queryid", "exec_ms"):
            scores[dbid, queryid] += exec_ms
        kept = sorted(scores, key=scores.__getitem__, reverse=True)[: 2 * _WATCHED * self._size]
        self._scores = {member: scores[member] for member in (*kept, *self._accounts)}

    def _elect(self) -> None:
        """Fill free places; then let the heaviest outsider replace the weakest member that may leave."""
        outsiders = [member for member in self._scores if member not in self._accounts]
        for member in sorted(outsiders, key=self._scores.__getitem__, reverse=True):
            if len(self._accounts) >= self._size and not self._make_room_for(member):
                return
            self._accounts[member] = _Account()
            self._since_s[member] = self._clock_s

    def _make_room_for(self, outsider: Member) -> bool:
        """Only the weakest is asked, of those that have stayed long and of all."""
        stayed = (m for m, since_s in self._since_s.items() if self._clock_s - since_s >= self._stay_s)
        weakest = min(stayed, key=self._scores.__getitem__, default=None)
        lead = self._lead
        if weakest is None or self._scores[outsider] < lead * self._scores[weakest]:
            weakest = min(self._since_s, key=self._scores.__getitem__)
            lead = self._early_lead
        if self._scores[outsider] < lead * self._scores[weakest]:
            return False
        del self._accounts[weakest], self._since_s[weakest]
        self._users.pop(weakest, None)
        return True

    def _book(self, ran: Frame) -> None:
        queryids = np.fromiter((queryid for _, queryid in self._accounts), np.int64)
        maybe = np.flatnonzero(np.isin(ran["queryid"], queryids))
        others = np.ones(len(ran), np.bool_)
        rows = _rows(ran, maybe, "dbid", "queryid", "userid", *_SUMMED)
        for place, (dbid, queryid, userid, *grown) in zip(maybe.tolist(), rows, strict=True):
            account = self._accounts.get((dbid, queryid))
            if account is not None:
                account.add(*grown)
                self._users[dbid, queryid] = userid
                others[place] = False
        self._others.add(*(ran[name][others].sum().item() for name in _SUMMED))


def largest(values: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Where the `most` largest stand, in no order: to sort ten thousand for eighty would cost more than the rest."""
    if len(values) <= most:
        return np.arange(len(values))
    return np.argpartition(values, len(values) - most)[-most:]


def _rows(ran: Frame, where: NDArray[np.int64], *names: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(ran[name][where].tolist() for name in names), strict=True)


def _series(dbid: int | None, queryid: int | None, account: _Account) -> Series:
    return Series(dbid, queryid, account.calls, account.exec_ms / 1000, account.rows, account.shared_blocks)
