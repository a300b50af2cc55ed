"""Pushes the same text to a Pushgateway, for networks that cannot be scraped."""

import structlog

from daemon.metrics.exposition import CONTENT_TYPE, Exposition
from daemon.sending import Unanswered, send

log = structlog.get_logger(__name__)


class Pusher:
    """`push` replaces the group `job="pgvigil"` of the gateway; a failure is logged and counted, never raised."""

    def __init__(self, url: str, exposition: Exposition) -> None:
        self._url = url.rstrip("/") + "/metrics/job/pgvigil"
        self._exposition = exposition
        self.failures = 0

    def push(self) -> None:
        """One push."""
        try:
            send(self._url, self._exposition.text(), method="PUT", content_type=CONTENT_TYPE)
        except Unanswered as error:
            self.failures += 1
            log.warning("push_failed", error=str(error))
