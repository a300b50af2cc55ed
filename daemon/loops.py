"""What the supervisor watches of the parts that do the work."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from alerts.outbox.worker import OutboxWorker
from daemon.lanes.lane import Lane
from daemon.lanes.pool import Pool
from daemon.supervisor import Loop

LANE_LIMIT_S = 120.0  # every deadline of a job is far below this: past it the lane itself is stuck
OUTBOX_LIMIT_S = 120.0


def loops(pools: Iterable[Pool], lanes: Iterable[Lane], boxes: Mapping[str, OutboxWorker]) -> Sequence[Loop]:
    """One for each, with how long it may go without getting any further."""
    return [
        *(Loop(f"workers {one.name}", partial(_stalled_s, one), LANE_LIMIT_S) for one in pools),
        *(Loop(f"lane {one.name}", partial(_busy_s, one), LANE_LIMIT_S) for one in lanes),
        *(Loop(f"outbox {name}", partial(_age_s, one), OUTBOX_LIMIT_S) for name, one in boxes.items()),
    ]


def _busy_s(lane: Lane) -> float:
    return lane.busy_s


def _stalled_s(pool: Pool) -> float:
    return pool.stalled_s


def _age_s(outbox: OutboxWorker) -> float:
    return outbox.age_s
