"""An outbox with routes: what they say of time comes true when time passes, as it does in the daemon."""

from dataclasses import replace

from alerts.outbox.courier import Courier
from alerts.outbox.record import Record
from alerts.outbox.timekeeper import Timekeeper
from alerts.routes import Route, Router
from pgvigil.model.delivery import Delivery
from pgvigil.model.incident import Incident, State
from tests.support.destination import Destination
from tests.support.outbox import LIMITS, Rig


class Office:
    """The rig's sink `oncall`, which incidents are for, and another one, `pager`, that hears what the timekeeper says."""

    def __init__(self, rig: Rig, *routes: Route) -> None:
        self.rig = rig
        self.pager = Destination()
        self.route(*routes)
        rig.muted = lambda incident, sink, now: self.router.muted_until(incident, sink, now) is not None
        self.restart()

    def route(self, *routes: Route) -> None:
        """Other routes from now on."""
        self.router = Router(routes, ["oncall", "pager"], lambda _problem: None)

    def restart(self) -> None:
        """A new process: what was in memory is gone."""
        self.keeper = Timekeeper(self.rig.store)
        self.rig.restart()
        self.other = Courier(
            "pager",
            self.pager,
            self.rig.store,
            self.rig.clock,
            replace(LIMITS, between_calls_s=0.0),
            record=Record("pager", lambda _event, _fields: None),
            pause=self.rig.clock.pass_time,
            muted=self.rig.muted,
        )

    def look(self) -> int:
        return self.keeper.look(self.rig.store.incidents.open(), self.router, self.rig.clock())

    def later(self, seconds: float, step_s: float = 15.0) -> list[str]:
        """What `oncall` is told in that time; `paged` has what the pager is."""
        told, paged = len(self.rig.sink.calls), len(self.pager.calls)
        end_s = self.rig.clock().mono_s + seconds
        while True:
            self.look()
            self.rig.run()
            while self.other.step() == 0:
                pass
            left_s = end_s - self.rig.clock().mono_s
            if left_s <= 0:
                break
            self.rig.clock.pass_time(min(step_s, left_s))
        self.paged = self.pager.calls[paged:]
        return self.rig.sink.calls[told:]

    def page(self) -> Delivery:
        """The pager's row of the first incident."""
        found = self.rig.store.deliveries.get(1, "pager")
        assert found is not None
        return found

    def over(self, incident: Incident) -> Incident:
        return self.rig.commit(incident, "resolved", state=State.RESOLVED, resolved_at=self.rig.clock().utc)
