"""The care of the store while the daemon runs: copies, retention, its size. None of it holds up a lane."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.board import Board
from daemon.clock import Ticker
from daemon.lanes.pool import Once, Pool
from daemon.sampling import SampleLimits
from daemon.settings.settings import Settings
from pgvigil.problems import Problem
from pgvigil.store import Store, StoreError
from pgvigil.store.care import Keep
from pgvigil.store.copies import DamagedStoreError
from pgvigil.track import SPAN_S

log = structlog.get_logger(__name__)

COPY_S = 3600.0  # what a damaged disk may cost; a copy of 100 MB takes a second of reading
FIRST_COPY_S = 60.0
PRUNE_S = 86_400.0
FIRST_PRUNE_S = 1800.0  # half an hour off the copies
SIZE_S = 60.0


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What the metrics say of the store's files; None: not known."""

    size_bytes: int | None = None
    copied_at: datetime | None = None


class Housekeeping:
    """Plans the care on the ticker and does it on `pool`. `keep` says what to remember, by the settings of now."""

    def __init__(self, store: Store, board: Board, pool: Pool, keep: Callable[[], Keep]) -> None:
        self._store = store
        self._board = board
        self._keep = keep
        self._copy = Once(pool, self.copy)
        self._prune = Once(pool, self.prune)
        self._measure = Once(pool, self.measure)
        self.figures = StoreFigures()

    def start(self, ticker: Ticker) -> None:
        """Plan it."""
        ticker.every("store/copy", COPY_S, self._copy.submit, first_after_s=FIRST_COPY_S)
        ticker.every("store/prune", PRUNE_S, self._prune.submit, first_after_s=FIRST_PRUNE_S)
        ticker.every("store/size", SIZE_S, self._measure.submit)

    def copy(self) -> None:
        """Replace the last good copy by one of now, or say why it stays."""
        try:
            made = self._store.copy()
        except DamagedStoreError as error:
            self._note("store copy", store_damaged(self._store, str(error)))
        except StoreError as error:
            self._note("store copy", store_not_copied(self._store, str(error)))
        else:
            self._note("store copy", None)
            log.debug("store_copied", bytes=made.size_bytes)
        self.measure()

    def prune(self) -> None:
        """Forget what is beyond the retention; what a failure leaves is left for the next time."""
        try:
            pruned = self._store.prune(self._keep())
        except StoreError as error:
            log.warning("store_not_pruned", error=str(error))
            return
        log.info(
            "store_pruned",
            incidents=pruned.incidents,
            transitions=pruned.transitions,
            texts=pruned.texts,
            series=pruned.series,
            changes=pruned.changes,
            freed_bytes=pruned.freed_bytes,
        )

    def measure(self) -> None:
        """On a worker: a disk that hangs must not keep a scrape waiting."""
        try:
            copy = self._store.last_copy
            self.figures = StoreFigures(self._store.size_bytes, None if copy is None else copy.taken_at)
        except OSError:
            self.figures = StoreFigures()

    def _note(self, key: str, problem: Problem | None) -> None:
        if self._board.note(key, problem) and problem is not None:
            log.error("setup_problem", slug=problem.slug, sentence=problem.sentence, fix=problem.fix)


def keep_by(settings: Settings, now: datetime) -> Keep:
    """What `settings` say is to be remembered at `now`."""
    retention = settings.retention
    return Keep(
        resolved_since=now - timedelta(seconds=retention.incidents_s),
        changes_since=now - timedelta(seconds=retention.changes_s),
        read_since=now - timedelta(seconds=SPAN_S),
        targets=frozenset(target.name for target in settings.targets),
    )


def samples_by(settings: Settings) -> SampleLimits:
    """How long readings are kept, and how much they may take."""
    return SampleLimits(settings.retention.samples_s, settings.retention.samples_size_bytes)


def store_damaged(store: Store, why: str) -> Problem:
    copy = store.last_copy
    way_out = (
        "Stop pgvigil and move the store away; there is no copy of it."
        if copy is None
        else f"Restart pgvigil: it goes on from the copy of {copy.taken_at:%Y-%m-%d %H:%M UTC}."
    )
    return Problem(
        slug="store-damaged",
        sentence=f"The store {store.path} is damaged: {why}.",
        fix=f"{way_out} Look after the disk.",
    )


def store_not_copied(store: Store, why: str) -> Problem:
    return Problem(
        slug="store-not-copied",
        sentence=f"The store {store.path} has no fresh copy to recover from: {why}.",
        fix=f"Make room on the file system of {store.path.parent}: twice the size of the store.",
    )
