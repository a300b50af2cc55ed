"""What a reading says to the board: the gauges that metrics, API and page show."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from collectors.activity import ActivityReading
from collectors.lock_waits import WaitGraph
from daemon.board import SessionCount
from pgvigil.model.snapshot import Snapshot

BLANK: Mapping[str, Mapping[str, Any]] = {
    "activity": {"sessions": (), "oldest_transaction_at": None},
    "lock_waits": {"waiters": None, "longest_wait_s": None},
}
OFF: Mapping[str, Mapping[str, Any]] = {
    **BLANK,
    "statements": {"statements": (), "top": None},
}  # counters outlive a failure


def _activity(snapshot: Snapshot[ActivityReading]) -> dict[str, Any]:
    counts: Counter[tuple[str, str]] = Counter()
    for group in snapshot.rows.groups:
        counts[group.database, group.state] += group.sessions
    ages = [s.xact_age_s for s in snapshot.rows.sessions if s.client_backend and s.xact_age_s is not None]
    return {
        "sessions": tuple(
            SessionCount(database=database, state=state, sessions=sessions)
            for (database, state), sessions in sorted(counts.items())
        ),
        "oldest_transaction_at": snapshot.taken_at - timedelta(seconds=max(ages)) if ages else None,
    }


def _lock_waits(snapshot: Snapshot[WaitGraph]) -> dict[str, Any]:
    graph = snapshot.rows
    ages = [lock.wait_age_s for lock in graph.waits.values() if lock.wait_age_s is not None]
    return (
        dict(BLANK["lock_waits"])
        if graph.blind
        else {"waiters": graph.waiting, "longest_wait_s": max(ages, default=0.0)}
    )


_GAUGES: Mapping[str, Callable[[Snapshot[Any]], dict[str, Any]]] = {
    "activity": _activity,
    "lock_waits": _lock_waits,
}


def gauges(snapshot: Snapshot[Any]) -> dict[str, Any]:
    """The fields of TargetView that this reading sets; none for a reading that is no gauge."""
    gauge = _GAUGES.get(snapshot.collector)
    return {} if gauge is None else gauge(snapshot)
