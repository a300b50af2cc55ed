"""Maintenance windows begin and end by the clock, and with marks in the targets."""

from collections.abc import Callable, Mapping, Sequence

import structlog

from alerts.maintenance import Maintenance, Window
from alerts.maintenance_marks import Doubt, MaintenanceMarks, Mark, Source
from daemon.clock import Now, Ticker
from daemon.http.sources import Silencing
from daemon.lanes.pool import Once, Pool
from daemon.setup import OwnSetup
from pgvigil.problems import Problem
from pgvigil.store import StoreError
from pgvigil.text import one_line

log = structlog.get_logger(__name__)

LOOK_S = 2.0


class Maintaining:
    """`windows` are those of the configuration of now, `marks` what is seen in the targets."""

    def __init__(
        self,
        silencing: Silencing,
        windows: Callable[[], Sequence[Window]],
        marks: Callable[[], Mapping[Source, Sequence[Mark] | None]],
        setup: OwnSetup,
        now: Now,
    ) -> None:
        self._maintenance = Maintenance(silencing.silences, silencing.open)
        self._in_targets = MaintenanceMarks(silencing.silences, silencing.open)
        self._marks = marks
        self._follow = silencing.follow
        self._windows = windows
        self._setup = setup
        self._now = now

    def start(self, ticker: Ticker, pool: Pool) -> None:
        ticker.every("maintenance", LOOK_S, Once(pool, self.look).submit)

    def look(self) -> None:
        """Begin and end what is due. What the store cannot take is tried again."""
        try:
            now = self._now().utc
            by_clock = self._maintenance.look(self._windows(), now)
            if self._in_targets.look(self._marks(), now) or by_clock:
                self._follow()
        except StoreError as error:
            log.warning("maintenance_not_kept", error=str(error))
        self._setup.note("maintenance", map(_problem, self._maintenance.refused.items()))
        self._setup.note("marks", map(_doubted, self._in_targets.doubts))


def _problem(refused: tuple[str, str]) -> Problem:
    name, why = refused
    return Problem(
        slug="maintenance-refused",
        sentence=f"The maintenance window {name} is under way and silences nothing: {why}.",
        fix="`pgvigil silences list` shows what holds; expire what is not needed.",
    )


def _doubted(doubt: Doubt) -> Problem:
    mark, role = doubt.mark, one_line(doubt.mark.role, 63)
    if doubt.forgotten:
        return Problem(
            slug="maintenance-mark-forgotten",
            sentence=f"The {mark.place} still says maintenance, by {role}, and is forgotten: {doubt.why}.",
            fix="Take the mark away; what is wrong is told again meanwhile. A new one holds anew.",
            target=mark.target,
        )
    return Problem(
        slug="maintenance-mark-refused",
        sentence=f"The {mark.place} says maintenance and silences nothing: {doubt.why}.",
        fix="Mend the mark or take it away; `pgvigil silences list` shows what holds.",
        target=mark.target,
    )
