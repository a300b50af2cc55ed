"""The outbox without its thread: time passes only when a test says so."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from alerts.outbox.courier import Courier
from alerts.outbox.hooks import Muted, never
from alerts.outbox.limits import OutboxLimits
from alerts.outbox.record import Record
from pgvigil.model.delivery import Delivery, Want
from pgvigil.model.incident import Incident, Transition
from pgvigil.store import Store
from tests.support.destination import Clock, Destination
from tests.support.views import incident

LIMITS = OutboxLimits(random=lambda: 0.5)  # no jitter: waits are what they say


@dataclass
class Rig:
    """An engine's commits, one courier, one destination, and time that passes when told to."""

    store: Store
    sink: Destination = field(default_factory=Destination)
    clock: Clock = field(default_factory=Clock)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    interrupt: Callable[[float], None] = lambda _seconds: None
    settled: bool = True
    refresh_s: float | None = None
    storm_at: int = 10
    muted: Muted = never

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process: what was in memory is gone."""
        self.record = Record("oncall", lambda event, fields: self.events.append((event, dict(fields))))
        self.courier = Courier(
            "oncall",
            self.sink,
            self.store,
            self.clock,
            replace(LIMITS, refresh_s=self.refresh_s, storm_at=self.storm_at),
            record=self.record,
            pause=self._pause,
            settled=lambda: self.settled,
            muted=self.muted,
        )

    def away(self, for_s: float = 7200.0) -> None:
        """The daemon was not there for a while, and starts: what is committed next is what it finds."""
        since = self.clock().utc
        self.clock.pass_time(for_s)
        now = self.clock().utc
        self.store.digests.open(["oncall"], since=since, until=now, settle_by=now + timedelta(seconds=60))
        self.restart()

    def _pause(self, seconds: float) -> None:
        self.interrupt(seconds)
        self.clock.pass_time(seconds)

    def commit(
        self, before: Incident | None = None, /, kind: str = "", mention: str = "", **changes: Any
    ) -> Incident:
        """What the engine does: a new incident, or a newer version of one, that the sink must reflect."""
        now = self.clock().utc
        if before is None:
            after = incident(**({"id": 0, "version": 1, "evaluated_at": now} | changes))
        else:
            after = replace(before, **({"version": before.version + 1, "evaluated_at": now} | changes))
        transition = Transition(kind or ("worse" if before else "fired"), before, after)
        return self.store.incidents.commit([transition], [Want(0, "oncall", after.severity, mention)])[0]

    def run(self, seconds: float = 0.0) -> None:
        """Let the courier work until it has nothing to do for the next `seconds`."""
        end_s = self.clock().mono_s + seconds
        while True:
            wait_s = self.courier.step()
            if wait_s is None or self.clock().mono_s + wait_s > end_s:
                self.clock.pass_time(max(0.0, end_s - self.clock().mono_s))
                return
            self.clock.pass_time(wait_s)

    def row(self, incident_id: int = 1) -> Delivery:
        found = self.store.deliveries.get(incident_id, "oncall")
        assert found is not None
        return found

    def said(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.events if name == event]
