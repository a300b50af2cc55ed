"""Maintenance windows begin and end by the clock."""

from collections.abc import Callable, Sequence

import structlog

from alerts.maintenance import Maintenance, Window
from daemon.clock import Now, Ticker
from daemon.http.sources import Silencing
from daemon.lanes.pool import Once, Pool
from daemon.setup import OwnSetup
from pgvigil.problems import Problem
from pgvigil.store import StoreError

log = structlog.get_logger(__name__)

LOOK_S = 2.0


class Maintaining:
    """`windows` are those of the configuration of now."""

    def __init__(
        self, silencing: Silencing, windows: Callable[[], Sequence[Window]], setup: OwnSetup, now: Now
    ) -> None:
        self._maintenance = Maintenance(silencing.silences, silencing.open)
        self._follow = silencing.follow
        self._windows = windows
        self._setup = setup
        self._now = now

    def start(self, ticker: Ticker, pool: Pool) -> None:
        ticker.every("maintenance", LOOK_S, Once(pool, self.look).submit)

    def look(self) -> None:
        """Begin and end what is due. What the store cannot take is tried again."""
        try:
            if self._maintenance.look(self._windows(), self._now().utc):
                self._follow()
        except StoreError as error:
            log.warning("maintenance_not_kept", error=str(error))
        self._setup.note("maintenance", map(_problem, self._maintenance.refused.items()))


def _problem(refused: tuple[str, str]) -> Problem:
    name, why = refused
    return Problem(
        slug="maintenance-refused",
        sentence=f"The maintenance window {name} is under way and silences nothing: {why}.",
        fix="`pgvigil silences list` shows what holds; expire what is not needed.",
    )
