"""When pgvigil was last alive, so that a start knows how long nobody looked."""

import contextlib
from datetime import datetime, timedelta

import structlog

from daemon.clock import Now
from pgvigil.store import Store, StoreError

log = structlog.get_logger(__name__)

ALIVE = "alive"  # the state value's key; an ISO stamp
BEAT_S = 30.0
SETTLE_S = 60.0  # that the first look around may take before the summary of a pause is told


class Heartbeat:
    """`beat` from time to time; at a start, `take_up` says to each sink's outbox that there was a pause."""

    def __init__(self, store: Store, now: Now, digest_after_s: float) -> None:
        self._store = store
        self._now = now
        self._digest_after_s = digest_after_s

    def take_up(self, sinks: list[str]) -> None:
        """Before anything is sent or written.

        By the wall clock: a stamp of the future, after a step of the clock, is no pause.
        """
        try:
            self._take_up(sinks)
        except StoreError as error:  # then all is said one by one
            log.warning("pause_not_known", error=str(error))

    def _take_up(self, sinks: list[str]) -> None:
        now, last = self._now().utc, self._last()
        self._store.digests.retain(sinks)
        if last is not None and 0 < self._digest_after_s <= (now - last).total_seconds():
            log.info("was_away", since=last.isoformat(), s=round((now - last).total_seconds()))
            settle_by = now + timedelta(seconds=SETTLE_S)
            self._store.digests.open(sinks, since=last, until=now, settle_by=settle_by)
        self._write()

    def beat(self) -> None:
        with contextlib.suppress(StoreError):  # counted by the store; the next one is soon
            self._write()

    def _write(self) -> None:
        self._store.state.put(ALIVE, self._now().utc.isoformat())

    def _last(self) -> datetime | None:
        try:
            last = datetime.fromisoformat(str(self._store.state.get(ALIVE)))
        except ValueError:
            return None
        return last if last.tzinfo is not None else None
