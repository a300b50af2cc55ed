"""File descriptors: as many as we are allowed, and said aloud when they run out.

A target costs two or three, each reading one more, an HTTP client one. Without any nothing can be connected to, and
all targets go blind at once for a reason that is none of theirs.
"""

import resource

import psutil
import structlog

from daemon.board import Board
from daemon.clock import Ticker
from daemon.lanes.pool import Once, Pool
from pgvigil.problems import Problem

log = structlog.get_logger(__name__)

LOOK_S = 5.0
SPARE = 16  # fewer than these left is as good as none: a burst of connecting takes more
_ENOUGH = 65_536  # some systems set no limit at all
_KEY = "descriptors"


def raise_limit() -> None:
    """To what the system lets us have; the usual 1,024 is a convention for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Descriptors:
    """Looks every few seconds, on `pool`: reading /proc needs a descriptor too, and may fail for want of one."""

    def __init__(self, board: Board, pool: Pool) -> None:
        self._board = board
        self._look = Once(pool, self.look)

    def start(self, ticker: Ticker) -> None:
        ticker.every("descriptors", LOOK_S, self._look.submit, first_after_s=LOOK_S)

    def look(self) -> None:
        """Note the shortage, or that it is over."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = _in_use()
        scarce = soft != resource.RLIM_INFINITY and (used is None or soft - used < SPARE)
        problem = _shortage(soft) if scarce else None
        if not self._board.note(_KEY, problem):
            return
        if problem is None:
            log.info("descriptors_suffice", limit=soft, used=used)
        else:
            log.error("setup_problem", slug=problem.slug, sentence=problem.sentence, fix=problem.fix)


def _in_use() -> int | None:
    """None when there is not even one left to look with."""
    try:
        return psutil.Process().num_fds()
    except OSError:
        return None


def _shortage(limit: int) -> Problem:
    return Problem(
        slug="descriptors-scarce",
        sentence=f"pgvigil is out of file descriptors, or nearly so: it may have {limit:,}. What cannot be read for"
        " want of one is unknown.",
        fix="Raise LimitNOFILE= of the service (ulimit -n, or the container's limit): 6 for each target and 300 more"
        " are plenty.",
    )
