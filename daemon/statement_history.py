"""Gathers what tracked statements did into blocks of the store's history; what writes them is `daemon.sampling`."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import structlog

from daemon.statements import FEED
from pgvigil.model.sample import SampleBlock
from queries.history.chunk import Chunk, coarse, packed, unpacked
from queries.history.filling import Filling, Text
from queries.tracked import Intervals

log = structlog.get_logger(__name__)

OPEN_S = 1800.0  # how much a crash may cost
MOST_INTERVALS = 240  # of a block
MANY = 20  # targets; with more the intervals that are kept are longer, so that memory and store hold
_FEW_S, _MANY_S = 60.0, 300.0


class StatementHistory:
    """Of all targets. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Filling] = {}
        self._full: list[Filling] = []

    def take(self, intervals: Intervals, text: Text, databases: Mapping[int, str], mono_s: float) -> None:
        """Of a lane: what ran between two readings, of statements whose texts `text` knows, in `databases` by oid."""
        with self._lock:
            filling = self._open.get(intervals.target)
            if filling is not None and _ended(filling, intervals):
                self._full.append(self._open.pop(intervals.target))
                filling = None
            if filling is None:
                filling = self._open[intervals.target] = Filling(intervals.target, text, mono_s)
            filling.add(intervals, _FEW_S if len(self._open) <= MANY else _MANY_S, databases)

    def ended(self, now_s: float, *, whole: bool) -> list[SampleBlock]:
        """The blocks that are full or old enough; with `whole` all of them."""
        with self._lock:
            over = [name for name, one in self._open.items() if whole or now_s - one.since_s >= OPEN_S]
            ended = [*self._full, *(self._open.pop(name) for name in over)]
            self._full = []
        return [block_of(one.target, one.chunk()) for one in ended if len(one)]


def _ended(filling: Filling, intervals: Intervals) -> bool:
    """Full, or the wall clock went back."""
    return len(filling) >= MOST_INTERVALS or (
        filling.last_at is not None and intervals.since < filling.last_at
    )


def block_of(target: str, chunk: Chunk) -> SampleBlock:
    """As the store keeps it."""
    lengths_s = (chunk.until - chunk.since) / 1e6
    return SampleBlock(
        target=target,
        collector=FEED,
        database=None,
        first_at=chunk.first_at,
        last_at=chunk.last_at,
        readings=len(chunk),
        every_s=float(lengths_s.mean()),
        coarse=False,
        data=packed(chunk),
    )


def thinned(block: SampleBlock) -> SampleBlock:
    """The same in cells of half an hour. One that cannot be read stays as it is."""
    try:
        cells = coarse(unpacked(block.data))
    except ValueError as error:
        log.warning("statements_unreadable", target=block.target, error=str(error))
        return replace(block, coarse=True)
    return replace(block_of(block.target, cells), id=block.id, coarse=True)


def chunks_of(blocks: Iterable[SampleBlock]) -> Iterator[Chunk]:
    """Those of blocks that can be read."""
    for block in blocks:
        try:
            yield unpacked(block.data)
        except ValueError as error:
            log.warning("statements_unreadable", target=block.target, error=str(error))
