"""Keeps what the targets' memories hold over restarts. No lane waits for it, and a store that fails costs only this."""

import threading
from collections.abc import Callable, Mapping

import structlog

from daemon.clock import Ticker
from daemon.lanes.pool import Once, Pool
from daemon.memory import Memory
from pgvigil.model.history import Unsaved
from pgvigil.store import Store, StoreError

log = structlog.get_logger(__name__)

SAVE_S = 600.0  # how much of the past a crash may cost; what changed in journals is written at once
FIRST_SAVE_S = 60.0
ROWS = 500  # of one transaction: a megabyte, for which writers of incidents wait some 20 ms


class Remembering:
    """`memories` are those of the targets that are watched now."""

    def __init__(self, store: Store, pool: Pool, memories: Callable[[], Mapping[str, Memory]]) -> None:
        self._store = store
        self._memories = memories
        self._saving = threading.Lock()
        self._failing = False
        self._whole = Once(pool, self.save)
        self._news = Once(pool, lambda: self.save(whole=False))

    def start(self, ticker: Ticker) -> None:
        """Plan it."""
        ticker.every("store/history", SAVE_S, self._whole.submit, first_after_s=FIRST_SAVE_S)

    def memory(self, target: str) -> Memory:
        """What is remembered of `target`, whose changes are written down as they come. What cannot be read now is
        taken up before the first writing.
        """
        memory = Memory(self._news.submit)
        self._restored(target, memory)
        return memory

    def save(self, *, whole: bool = True) -> None:
        """Write down what the store lacks; what it does not take is tried again the next time."""
        with self._saving:
            memories = self._memories()
            batch: dict[str, Unsaved] = {}
            for target, memory in memories.items():
                unsaved = memory.take_unsaved(whole=whole) if self._restored(target, memory) else None
                if unsaved is not None:
                    batch[target] = unsaved
                if sum(one.rows for one in batch.values()) >= ROWS:
                    if not self._written(batch, memories):
                        return
                    batch = {}
            if batch:
                self._written(batch, memories)

    def _restored(self, target: str, memory: Memory) -> bool:
        """Whether what the store has of it is known: nothing may be written over it before."""
        if memory.restored:
            return True
        try:
            memory.restore(self._store.history.load(target))
        except StoreError as error:
            self._note(error)
            return False
        return True

    def _written(self, batch: Mapping[str, Unsaved], memories: Mapping[str, Memory]) -> bool:
        try:
            self._store.history.save(batch)
        except StoreError as error:
            for target, unsaved in batch.items():
                memories[target].give_back(unsaved)
            self._note(error)
            return False
        self._note(None)
        return True

    def _note(self, error: StoreError | None) -> None:
        """Said once for as long as it lasts."""
        if error is not None and not self._failing:
            log.warning("history_not_kept", error=str(error))
        self._failing = error is not None
