"""The boundary around whatever works on a session: what it throws is a Failure, and the others go on."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.errors import ReadError

log = structlog.get_logger(__name__)

T = TypeVar("T")


def attempt(work: Callable[[], T], *, lane: str, job: str) -> T | Failure:
    """What `work` returns, or why it did not. A defect of ours is logged under these names."""
    try:
        return work()
    except ReadError as error:
        return error.failure
    except Exception:  # the lane's boundary: a collector's defect parks nothing but itself
        log.exception("job_failed", lane=lane, job=job)
        return Failure(FailureKind.BUG, "pgvigil failed on what it read; its log has the details")
