"""What the outbox of one destination did: counted for metrics, said for logs."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from alerts.sink_failing import Trouble
from pgvigil.model.delivery import Act, Delivery, DeliveryError, DeliveryFailure
from pgvigil.model.digest import Digest, Storm
from pgvigil.model.incident import Incident

OK = "ok"
BUG = "bug"
OUTCOMES = (OK, *(kind.value for kind in DeliveryFailure), BUG)

OnEvent = Callable[[str, Mapping[str, Any]], None]

_LEVELS = {
    "delivered": "info",
    "delivery_adopted": "info",
    "delivery_dropped": "warning",
    "digest_delivered": "info",
    "digest_adopted": "info",
    "digest_failed": "warning",
    "digest_given_up": "warning",
    "storm_over": "info",
    "delivery_failed": "warning",
    "sink_misconfigured": "error",
    "sink_recovered": "info",
    "sink_unchecked": "warning",
    "sink_bug": "error",
    "outbox_store_failed": "warning",
}
LATENCY_BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
OVER = "over"  # it ended, and was never critical, before the destination could be told that it began
_OUTAGE = frozenset({DeliveryFailure.TRANSIENT, DeliveryFailure.AMBIGUOUS, DeliveryFailure.MISCONFIGURED})
_OUTAGE_FAILURES = 3  # in a row: the destination was down, not one message bad

log = structlog.get_logger(__name__)


def log_event(event: str, fields: Mapping[str, Any]) -> None:
    """To the log, at the level of the event."""
    getattr(log, _LEVELS[event])(event, **fields)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long what people hear took from the reading to the destination's yes. `counts` holds how many were within
    each of LATENCY_BOUNDS_S and beyond the bound before; the last are beyond all.
    """

    counts: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS_S) + 1)
    sum_s: float = 0.0

    def with_one(self, waited_s: float) -> "Latency":
        place = bisect_left(LATENCY_BOUNDS_S, waited_s)
        counts = tuple(count + (index == place) for index, count in enumerate(self.counts))
        return Latency(counts, self.sum_s + waited_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStats:
    """Since the start. `outcomes` counts calls that tell something, by how they ended: every outcome is there; `dropped`
    what nobody will hear, by reason.
    """

    outcomes: Mapping[str, int]
    delivered: int  # times that the destination came to reflect an incident's version
    retries: int  # calls for a row whose call before had failed
    adopted: int  # acts that were found to have arrived though no answer said so
    marked: int  # acts sent again as possible duplicates
    latency: Latency
    dropped: Mapping[str, int]


class Record:
    """Written by the one thread of the destination, read by any."""

    def __init__(self, sink: str, on_event: OnEvent) -> None:
        self._sink = sink
        self._on_event = on_event
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._delivered = self._retries = self._adopted = self._marked = 0
        self._latency = Latency()
        self._dropped = {OVER: 0}
        self._outage = 0  # failures in a row that mean that the destination is down
        self._unchecked = False
        self._error = ""  # the last that means that the destination is down
        self.proven = False  # a call has succeeded
        self.misconfigured = 0  # failures in a row that people must mend

    def stats(self) -> OutboxStats:
        return OutboxStats(
            outcomes=dict(self._outcomes),
            delivered=self._delivered,
            retries=self._retries,
            adopted=self._adopted,
            marked=self._marked,
            latency=self._latency,
            dropped=dict(self._dropped),
        )

    def attempt(self, *, again: bool, marked: bool) -> None:
        self._retries += again
        self._marked += marked

    def call(self, outcome: str) -> None:
        self._outcomes[outcome] += 1

    def delivered(self, row: Delivery, incident: Incident, done: tuple[Act, ...], now: datetime) -> None:
        self._delivered += 1
        waited_s = (now - row.due_since).total_seconds()
        if any(act.creates for act in done):
            self._latency = self._latency.with_one(max(waited_s, 0.0))  # a wall clock may have been set back
        self._say(
            "delivered",
            incident=incident.name,
            version=incident.version,
            acts=[str(act.told or act.kind) for act in done],
            waited_s=round(waited_s, 3),
        )

    def never_told(self, incident: Incident) -> None:
        """It is over, and the destination was never told that it began."""
        self._dropped[OVER] += 1
        self._say("delivery_dropped", incident=incident.name, reason=OVER)

    def adopted(self, incident: Incident, act: Act) -> None:
        self._delivered += 1
        self._adopted += 1
        self._say("delivery_adopted", incident=incident.name, act=act.key)

    def digest_delivered(self, digest: Digest, now: datetime) -> None:
        counts = {section.title.lower().replace(" ", "_"): section.count for section in digest.sections}
        waited_s = round((now - digest.until).total_seconds(), 3)
        self._say("digest_delivered", digest=digest.id, waited_s=waited_s, **counts)

    def digest_adopted(self, digest: Digest) -> None:
        self._adopted += 1
        self._say("digest_adopted", digest=digest.id)

    def digest_given_up(self, digest_id: int, why: str) -> None:
        """All of it is said one by one."""
        self._say("digest_given_up", digest=digest_id, error=why)

    def storm_over(self, storm: Storm, end: str) -> None:
        """Its message is edited no more."""
        self._say("storm_over", digest=storm.digest_id, incidents=len(storm.roster), end=end)

    def failed(self, row: Delivery, what: str, error: DeliveryError) -> None:
        """A set-up that people must mend is said once, until it works again."""
        incident = f"INC-{row.incident_id}"
        self._failure("delivery_failed", error, incident=incident, act=what, attempts=row.attempts + 1)

    def digest_failed(self, digest_id: int, attempts: int, error: DeliveryError) -> None:
        self._failure("digest_failed", error, digest=digest_id, attempts=attempts + 1)

    def _failure(self, event: str, error: DeliveryError, **fields: Any) -> None:
        if error.kind in _OUTAGE:
            self._outage += 1
            self._error = str(error)
        misconfigured = error.kind is DeliveryFailure.MISCONFIGURED
        self.misconfigured += misconfigured
        if misconfigured and self.misconfigured > 1:
            return
        name = "sink_misconfigured" if misconfigured else event
        self._say(name, **fields, kind=error.kind.value, error=str(error))

    def unchecked(self, error: DeliveryError) -> None:
        """The destination could not be asked what is wrong with the set-up; said once, until it could."""
        if not self._unchecked:
            self._say("sink_unchecked", kind=error.kind.value, error=str(error))
        self._unchecked = True
        self._error = str(error)

    def checked(self) -> None:
        self._unchecked = False

    def bug(self, error: Exception) -> None:
        self._say("sink_bug", error=type(error).__name__, exc_info=error)

    def store_failed(self, error: Exception) -> None:
        self._say("outbox_store_failed", error=str(error))

    @property
    def was_down(self) -> bool:
        """Whether the destination as a whole has failed of late."""
        return self.misconfigured > 0 or self._outage >= _OUTAGE_FAILURES

    @property
    def trouble(self) -> Trouble | None:
        """Why the destination takes nothing, as the last call to it has shown; None when that succeeded."""
        if self._outage or self._unchecked:
            return Trouble(self._error, set_up=self.misconfigured > 0)
        return None

    def works(self) -> None:
        """A call has succeeded."""
        self.proven = True
        if self.was_down:
            self._say("sink_recovered")
        self.misconfigured = self._outage = 0
        self._unchecked = False

    def _say(self, event: str, **fields: Any) -> None:
        self._on_event(event, {"sink": self._sink, **fields})
