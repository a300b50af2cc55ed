"""Pushes the same text to a Pushgateway, for networks that cannot be scraped."""

import base64
import urllib.request
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

import structlog

from daemon.metrics.exposition import CONTENT_TYPE, Exposition

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0


class Pusher:
    """`push` replaces the group `job="pgvigil"` of the gateway; a failure is logged and counted, never raised.

    A name and password in `url` are sent as basic authentication: urllib would take them for the host's name.
    """

    def __init__(self, url: str, exposition: Exposition) -> None:
        parts = urlsplit(url)
        account, _, host = parts.netloc.rpartition("@")
        self._url = parts._replace(netloc=host, path=parts.path.rstrip("/") + "/metrics/job/pgvigil").geturl()
        self._headers = {"Content-Type": CONTENT_TYPE, **_authorization(account)}
        self._exposition = exposition
        self.failures = 0

    def push(self) -> None:
        """One push."""
        request = urllib.request.Request(  # noqa: S310  # the scheme is checked when the configuration is read
            self._url, data=self._exposition.text(), method="PUT", headers=self._headers
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310  # as above
                pass
        except (OSError, HTTPException) as error:
            self.failures += 1
            log.warning("push_failed", error=str(error))


def _authorization(account: str) -> dict[str, str]:
    """The header for `name:password` as it stands in a URL; none for an empty one."""
    if not account:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(unquote(account).encode()).decode()}"}
