"""Keeps the running account of one target and publishes it to the board as a frozen view."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from daemon.board import Board, CollectorView, Exported, TargetView
from pgvigil.model.availability import Availability, Freshness
from pgvigil.model.failure import Failure
from pgvigil.model.moment import Moment
from pgvigil.problems import Problem

Key = tuple[str, str | None]  # collector, database


class Recorder:
    """Thread-safe: the three lanes of a target report here at once."""

    def __init__(self, view: TargetView, board: Board) -> None:
        self._view = view
        self._board = board
        self._lock = threading.Lock()
        self._collectors: dict[Key, CollectorView] = {}
        self._fresh_mono_s: dict[Key, float] = {}  # since then it is late: read, expected, or not to be had
        self._problems: dict[str, Problem] = {}
        self._exported: dict[Key, tuple[Exported, ...]] = {}
        self._excused: set[Key] = set()
        self._closed = False

    @property
    def expected(self) -> frozenset[Key]:
        """The readings that are due from time to time."""
        with self._lock:
            return frozenset(self._collectors)

    @property
    def view(self) -> TargetView:
        return self._view

    def expect(self, collector: str, database: str | None, interval_s: float, moment: Moment) -> None:
        """From now on this reading is due every `interval_s` (or stretched, see `pace`), and its absence is staleness."""
        with self._lock:
            key = (collector, database)
            before = self._collectors.get(key)
            if before is None:
                before = CollectorView(collector=collector, database=database, interval_s=interval_s)
            elif before.configured_interval_s == interval_s:
                return
            self._collectors[key] = replace(before, interval_s=interval_s * before.stretch)
            self._fresh_mono_s[key] = moment.mono_s

    def pace(self, collector: str, database: str | None, factor: int, reason: str, moment: Moment) -> None:
        """Its interval is so many times the configured one from now on. The intervals that were missed stay missed."""
        with self._lock:
            key = (collector, database)
            before = self._collectors.get(key)
            if before is None or (before.stretch, before.stretch_reason) == (factor, reason):
                return
            late_s = (moment.mono_s - self._fresh_mono_s[key]) * factor / before.stretch
            self._fresh_mono_s[key] = moment.mono_s - late_s
            interval_s = before.configured_interval_s * factor
            self._collectors[key] = replace(
                before, interval_s=interval_s, stretch=factor, stretch_reason=reason
            )

    def forget(self, collector: str, database: str | None) -> None:
        """No longer expected: switched off, or its database is gone."""
        with self._lock:
            key = (collector, database)
            known: dict[Key, Any]
            for known in (self._collectors, self._fresh_mono_s, self._exported):
                known.pop(key, None)
            self._excused.discard(key)

    def succeeded(self, collector: str, database: str | None, duration_s: float, moment: Moment) -> None:
        with self._lock:
            key = (collector, database)
            before = self._collectors.get(key)
            if before is None:  # forgotten while it was being read
                return
            self._excused.discard(key)
            self._fresh_mono_s[key] = moment.mono_s
            self._collectors[key] = replace(
                before,
                last_success_at=moment.utc,
                last_duration_s=duration_s,
                last_failure=None,
                runs=before.runs + 1,
            )

    def exported(self, collector: str, database: str | None, families: tuple[Exported, ...]) -> None:
        """What the reading exports, instead of what the one before did."""
        with self._lock:
            if (collector, database) in self._collectors:
                self._exported[collector, database] = families

    def _dim(self, key: Key) -> None:
        """What is not known now is no gauge; counters outlive a failure."""
        if key in self._exported:
            self._exported[key] = tuple(each for each in self._exported[key] if each.counter)

    def failed(
        self, collector: str, database: str | None, failure: Failure, *, excused: bool = False
    ) -> None:
        """`excused`: nobody can mend it, so that the reading does not count as late."""
        with self._lock:
            key = (collector, database)
            before = self._collectors.get(key)
            if before is None:
                return
            (self._excused.add if excused else self._excused.discard)(key)
            self._dim(key)
            errors = Counter(before.errors)
            errors[failure.kind.value] += 1
            self._collectors[key] = replace(
                before, last_failure=failure, runs=before.runs + 1, errors=dict(errors)
            )

    def missed(self, missed: Mapping[Key, int]) -> None:
        with self._lock:
            for key, ticks in missed.items():
                before = self._collectors.get(key)
                if before is not None and before.missed_ticks != ticks:
                    self._collectors[key] = replace(before, missed_ticks=ticks)

    def most_missed(self, moment: Moment) -> float:
        """By how many intervals the expected reading that is farthest behind is so, by the monotonic clock."""
        with self._lock:
            return max((missed for _, missed in self._missed(moment)), default=0.0)

    def freshness(self, moment: Moment) -> tuple[Freshness, ...]:
        """How far behind each expected reading is."""
        with self._lock:
            return tuple(
                Freshness(
                    collector=view.collector,
                    database=view.database,
                    interval_s=view.interval_s,
                    last_success_at=view.last_success_at,
                    missed=missed,
                    failure=view.last_failure,
                )
                for view, missed in self._missed(moment)
            )

    def _missed(self, moment: Moment) -> Iterator[tuple[CollectorView, float]]:
        for key, view in self._collectors.items():
            if key not in self._excused:
                late_s = moment.mono_s - self._fresh_mono_s[key] - view.interval_s
                yield view, max(0.0, late_s / view.interval_s)

    def resumed(self, moment: Moment) -> None:
        """The target answers again: what it could not be asked meanwhile is not the collectors' delay."""
        with self._lock:
            self._fresh_mono_s = {
                key: max(fresh_s, moment.mono_s) for key, fresh_s in self._fresh_mono_s.items()
            }

    def problem(self, key: str, problem: Problem | None) -> bool:
        """Note or clear a set-up problem; True when that is news."""
        with self._lock:
            if self._closed:
                return False
            before = self._problems.get(key)
            if problem is None:
                self._problems.pop(key, None)
            else:
                self._problems[key] = problem
            return before != problem

    def availability(self, availability: Availability, moment: Moment) -> None:
        """A target that is down has no gauges: what was read before is history, not now."""
        changes: dict[str, Any] = {"availability": availability}
        if self._view.first_tried_at is None:
            changes["first_tried_at"] = moment.utc
        if not availability.up:
            with self._lock:
                for key in self._exported:
                    self._dim(key)
            changes |= {
                "sessions": (),
                "waiters": None,
                "longest_wait_s": None,
                "oldest_transaction_at": None,
            }
        self.publish(**changes)

    def close(self) -> None:
        """What lanes that are still leaving report is shown no more."""
        with self._lock:
            self._closed = True

    def publish(self, **changes: Any) -> None:
        """Replace fields of the view and show it."""
        with self._lock:
            if self._closed:
                return
            self._view = replace(
                self._view,
                collectors=tuple(self._collectors.values()),
                problems=tuple(self._problems.values()),
                vitals=tuple(chain.from_iterable(self._exported.values())),
                **changes,
            )
            self._board.publish(self._view)
