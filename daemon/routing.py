"""Who hears of what by the routes of now, and what is due by the clock."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import structlog

from alerts.outbox.timekeeper import Timekeeper
from alerts.relations import Relations
from alerts.routes import Recipient, Router
from daemon.clock import Now
from daemon.settings.settings import Settings
from daemon.setup import OwnSetup
from pgvigil.model.incident import Incident
from pgvigil.store import Store, StoreError

log = structlog.get_logger(__name__)

LOOK_S = 2.0


class Routing:
    """Thread-safe but for `look`, which one thread calls. The routes are replaced as a whole."""

    def __init__(self, settings: Settings, setup: OwnSetup, store: Store, now: Now) -> None:
        self._setup = setup
        self._now = now
        self._timekeeper = Timekeeper(store)
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Go over to the routes of `settings`."""
        self._setup.note("routes", ())  # what matches none is seen as incidents come
        self._relations = settings.relations
        sinks = tuple(settings.sinks)
        self._router = Router(settings.routes, sinks, lambda one: self._setup.note("routes", [one]))

    def relations(self) -> Relations:
        """What is told as one, and what keeps what quiet."""
        return self._relations

    def route(self, incident: Incident) -> Sequence[Recipient]:
        return self._router(incident)

    def muted(self, incident: Incident, sink: str, now: datetime) -> bool:
        return self._router.muted_until(incident, sink, now) is not None

    def look(self, incidents: Callable[[], Collection[Incident]], wake: Callable[[], None]) -> None:
        """Find what is due by the clock, and wake those who tell it. What the store cannot say is asked again."""
        try:
            if self._timekeeper.look(incidents(), self._router, self._now()):
                wake()
        except StoreError as error:
            log.warning("routes_not_timed", error=str(error))
