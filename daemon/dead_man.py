"""A sign of life to somebody outside, who raises the alarm when none comes: pgvigil cannot tell of its own death."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

import structlog

from daemon.board import Board
from daemon.clock import Now
from daemon.health import status_line
from daemon.metrics.sinks import SinkStats
from daemon.sending import Unanswered, send

log = structlog.get_logger(__name__)

UNTOLD = timedelta(minutes=5)  # a sink that does not reflect what it should for longer does not reach people


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What a sign of life goes by: the loops that are stuck, and what each sink has not been told yet."""

    stuck: Callable[[], tuple[str, ...]]
    sinks: Callable[[], Mapping[str, SinkStats]]
    board: Board

    def faults(self, now: datetime) -> Iterator[str]:
        """Why people would not hear of it if something happened now."""
        yield from (f"{loop} is stuck" for loop in self.stuck())
        for name, sink in self.sinks().items():
            if sink.pending is None:
                yield f"nobody knows what {name} was told"
            elif sink.parked:
                yield f"{name} waits for people to mend its set-up"
            elif sink.oldest_pending_at is not None and now - sink.oldest_pending_at > UNTOLD:
                yield f"{name} has not been told since {sink.oldest_pending_at:%H:%M}Z"


class _Trouble(Enum):
    WITHHELD = auto()
    FAILED = auto()


class DeadMansSwitch:
    """`report` gives a sign of life at `url`, or withholds it while pgvigil cannot do its work; then the one who waits
    for it raises the alarm. A target that is down is no reason: that is what pgvigil tells people itself.
    """

    def __init__(self, signs: Signs, now: Now) -> None:
        self._signs = signs
        self._now = now
        self._trouble: _Trouble | None = None  # that was said
        self.url = ""
        self.given_at: datetime | None = None
        self.failures = 0

    def report(self) -> None:
        """One sign of life. What goes wrong is counted, said once until it changes, and never raised."""
        now = self._now().utc
        faults = list(self._signs.faults(now))
        if faults:
            if self._trouble is not _Trouble.WITHHELD:
                log.warning("heartbeat_withheld", why="; ".join(faults))
            self._trouble = _Trouble.WITHHELD
            return
        body = json.dumps({"status": "ok", "at": now.isoformat(), "text": status_line(self._signs.board)})
        try:
            send(self.url, body.encode(), method="POST", content_type="application/json")
        except Unanswered as error:
            self.failures += 1
            if self._trouble is not _Trouble.FAILED:
                log.warning("heartbeat_failed", why=str(error))
            self._trouble = _Trouble.FAILED
            return
        if self._trouble is not None:
            log.info("heartbeat_again")
        self._trouble, self.given_at = None, now
