"""Says loudly that the store is kept in memory, because its disk takes nothing, and when that is over."""

import structlog

from daemon.board import Board
from daemon.clock import Now
from pgvigil.problems import Problem
from pgvigil.store.failover import InMemory, Turn

log = structlog.get_logger(__name__)


class FailingDisk:
    """Called by threads of the store, which do not wait for a disk while they say it."""

    def __init__(self, board: Board, now: Now) -> None:
        self._board = board
        self._now = now

    def turned(self, turn: Turn) -> None:
        """The store turned to memory, or its file has everything again."""
        if turn.now is not None:
            problem = store_in_memory(turn.now)
            self._board.note("store memory", problem)
            log.error("store_in_memory", why=turn.now.why, slug=problem.slug, sentence=problem.sentence)
        elif turn.before is not None:
            self._board.note("store memory", None)
            lasted_s = (self._now().utc - turn.before.since).total_seconds()
            log.warning("store_on_disk_again", lasted_s=round(lasted_s, 1), rows=turn.rows)

    def closed(self, lost_rows: int) -> None:
        """The store was closed without `lost_rows` having reached its file."""
        if lost_rows:
            log.error(
                "store_not_saved", rows=lost_rows, why="the disk of the store took no writes to the end"
            )


def store_in_memory(standing: InMemory) -> Problem:
    since = standing.since.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Problem(
        slug="store-in-memory",
        sentence=f"The disk of the store fails ({standing.why}), so it is kept in memory since {since}: alerts go on,"
        " and what happened since then would be forgotten if pgvigil was killed.",
        fix="Free some space, or look after the disk; pgvigil then writes all of it down by itself.",
    )
