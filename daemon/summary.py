"""How a target does, in one line of the log."""

import structlog

from daemon.board import TargetView

log = structlog.get_logger(__name__)


def summarize(view: TargetView) -> None:
    """The canonical line: one a minute and target."""
    log.info(
        "target",
        target=view.name,
        up=view.up,
        databases=len(view.databases),
        not_covered=len(view.not_covered),
        reads=sum(c.runs for c in view.collectors),
        errors=sum(sum(c.errors.values()) for c in view.collectors),
        missed_ticks=sum(c.missed_ticks for c in view.collectors),
        stretch=view.stretch.factor,
        incidents=sum(1 for incident in view.incidents if incident.fired_at is not None),
    )
