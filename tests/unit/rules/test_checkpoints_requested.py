"""checkpoints_requested: what it advises fits on the volume."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from alerts.rules.checkpoints_requested import RULE
from collectors.checkpoints import Checkpoints
from pgvigil.model.finding import Finding
from pgvigil.model.series import Point
from tests.support.readings import NOW, context, snapshot

GIB = 1024**3
PER_MINUTE = {"requested": 1.0, "timed": 0.0, "position_bytes": float(GIB)}


def told(now_bytes: int, disk_bytes: float | None) -> Finding:
    """An hour with a gigabyte of WAL and a requested checkpoint each minute: 12 GB are needed."""
    row = Checkpoints(
        timed=0,
        requested=60,
        write_time_ms=0.0,
        sync_time_ms=0.0,
        buffers_written=0,
        buffers_clean=0,
        maxwritten_clean=0,
        buffers_alloc=0,
        buffers_backend=None,
        buffers_backend_fsync=None,
        restartpoints_timed=None,
        restartpoints_requested=None,
        restartpoints_done=None,
        stats_reset=None,
        in_recovery=False,
        position_bytes=60 * GIB,
        timeline=None,
        max_wal_size_bytes=now_bytes,
        checkpoint_timeout_s=300.0,
        completion_target=0.9,
    )

    def history(series: str, _key: str = "") -> Sequence[Point]:
        return [Point(NOW - timedelta(minutes=60 - each), each * PER_MINUTE[series]) for each in range(61)]

    judged = RULE.evaluate(
        snapshot(row, "checkpoints"), RULE.params(), context(history=history, disk_size_bytes=disk_bytes)
    )
    (finding,) = judged.findings
    return finding


@pytest.mark.parametrize(
    ("disk_bytes", "command"),
    [
        (None, "ALTER SYSTEM SET max_wal_size = '12GB'"),
        (100.0 * GIB, "ALTER SYSTEM SET max_wal_size = '12GB'"),
        (20.0 * GIB, "ALTER SYSTEM SET max_wal_size = '8GB'"),
    ],
)
def test_the_advice_is_what_the_rate_needs_and_the_volume_holds(
    disk_bytes: float | None, command: str
) -> None:
    steps = told(2 * GIB, disk_bytes).steps
    assert steps[0].sql == command
    assert ("40% of the volume" in steps[0].text) == command.endswith("'8GB'")


def test_where_the_volume_holds_no_more_nothing_is_to_be_raised() -> None:
    steps = told(2 * GIB, 4.0 * GIB).steps
    assert [step.sql for step in steps] == [None, None]
    assert "it takes a larger volume, or less WAL" in steps[0].text
