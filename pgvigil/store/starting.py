"""From a path to a store in memory whose file follows; also on a disk that takes nothing any more."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from pgvigil.problems import SetupError
from pgvigil.store import doubts, opening
from pgvigil.store.failover import DiskLimits, Failover, Turn
from pgvigil.store.file import File, load
from pgvigil.store.marker import Marker, in_memory_since
from pgvigil.store.memory import Memory
from pgvigil.store.recovery import Recovered

_FULL = "store-disk-full"


def opened(
    path: Path, on_turn: Callable[[Turn], None], limits: DiskLimits | None
) -> tuple[Recovered | None, Failover]:
    """The store at `path` and what its opening had to mend; raises SetupError. The caller holds the lock.

    A full disk stands in the way of a new store and of an upgrade, and of nothing else.
    """
    recovered, memory, why = _loaded(path)
    marker = Marker(path)
    since = in_memory_since(path)
    marker.reserve()
    failover = Failover(memory, File(path), marker, on_turn=on_turn, limits=limits, lost_since=since)
    failover.start(why)
    if since is not None:
        failover.write(lambda connection: doubts.begin(connection, since))
    failover.settle()
    return recovered, failover


def _loaded(path: Path) -> tuple[Recovered | None, Memory, str]:
    """What was mended, the memory, and what is wrong with the disk."""
    try:
        recovered = opening.prepare(path)
    except SetupError as error:
        problem = error.problems[0]
        memory = _readable(path) if problem.slug == _FULL else None
        if memory is None:
            raise
        return None, memory, "the disk is full"
    try:
        return recovered, load(path), ""
    except sqlite3.Error as error:
        raise opening.explain(path, error) from error


def _readable(path: Path) -> Memory | None:
    try:
        return load(path) if path.stat().st_size else None
    except (sqlite3.Error, OSError):
        return None
