"""Pushes the same text to a Pushgateway, for networks that cannot be scraped."""

import urllib.request

import structlog

from daemon.metrics.exposition import CONTENT_TYPE, Exposition

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0


class Pusher:
    """`push` replaces the group `job="pgvigil"` of the gateway; a failure is logged and counted, never raised."""

    def __init__(self, url: str, exposition: Exposition) -> None:
        self._url = url.rstrip("/") + "/metrics/job/pgvigil"
        self._exposition = exposition
        self.failures = 0

    def work(self) -> None:
        """One push; what a worker of a pool calls."""
        request = urllib.request.Request(  # noqa: S310  # the scheme is checked when the configuration is read
            self._url, data=self._exposition.text(), method="PUT", headers={"Content-Type": CONTENT_TYPE}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310  # as above
                pass
        except OSError as error:
            self.failures += 1
            log.warning("push_failed", error=str(error))
