"""Whether the daemon and a server agree on the time."""

from datetime import timedelta

from pgvigil.model.availability import Availability
from pgvigil.model.snapshot import Snapshot
from pgvigil.problems import Problem
from pgvigil.units import format_duration

MOST_SKEW_S = 2.0  # a machine that keeps time by NTP is within a few milliseconds


def skew_s(snapshot: Snapshot[Availability]) -> float:
    """How far the server's clock is ahead of ours at least (behind: negative). The answer was made somewhere within
    the round trip: half of it is doubt, and is taken off.
    """
    server_at = snapshot.rows.server_at
    if server_at is None:
        return 0.0
    half_s = snapshot.duration_s / 2
    ahead_s = (server_at - (snapshot.taken_at - timedelta(seconds=half_s))).total_seconds()
    sure_s = max(0.0, abs(ahead_s) - half_s)
    return sure_s if ahead_s > 0 else -sure_s


def clock_skew(target: str, snapshot: Snapshot[Availability]) -> Problem | None:
    skew = skew_s(snapshot)
    if abs(skew) < MOST_SKEW_S:
        return None
    return Problem(
        slug="clock-skew",
        sentence=f"{target}: the server's clock is {format_duration(round(abs(skew)))}"
        f" {'ahead of' if skew > 0 else 'behind'} the daemon's.",
        why="Times in messages and in the server's own log do not fit together, and what is counted from a stamp of"
        " the server is off by as much. Durations are measured on one clock each and stay right.",
        fix="Have both machines keep time by NTP: compare `timedatectl` on each.",
        target=target,
    )
