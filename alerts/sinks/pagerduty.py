"""PagerDuty: calls people through the Events API v2, and closes what is over.

Limits and answers: https://developer.pagerduty.com/docs/events-api-v2-overview (202 accepted, 400 refused, 429 wait;
512 KB a request, 1024 characters of summary, 255 of dedup_key).
"""

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from alerts.render import view
from alerts.sinks._account import account, fitted, page_of
from alerts.sinks._http import HttpClient, HttpParams, checked_url
from alerts.sinks._paging import Page, PagingSink
from alerts.sinks._secret import SecretFile, once_more
from pgvigil.model.delivery import Act, Delivery, DeliveryError, DeliveryFailure
from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from pgvigil.plugins import Sink, SinkKind
from pgvigil.text import one_line

_MOST_BYTES = 500_000
_SUMMARY_CHARS = 1024
_SEVERITIES = {
    Level.CRITICAL: "critical",
    Level.WARNING: "warning",
    Level.INFO: "info",
    Level.HOLD: "info",
}


class PagerDutyParams(HttpParams):
    routing_key_file: Path = Field(description="File with the integration key of a service (Events API v2).")
    url: str = Field(
        "https://events.pagerduty.com/v2/enqueue",
        description="Where events go; https://events.eu.pagerduty.com/v2/enqueue in the EU region.",
    )

    _url = field_validator("url")(checked_url)


class PagerDutySink(PagingSink):
    """See `PagingSink`."""

    def __init__(self, key: SecretFile, params: PagerDutyParams, public_url: str) -> None:
        self._key = key
        self._url = params.url
        self._public_url = public_url
        self._http = HttpClient("PagerDuty", params.timeout, params.ca_file)

    def send(self, page: Page, key: str, act: Act, incident: Incident, delivery: Delivery) -> None:
        """See `PagingSink.send`. A key that is refused is read again from its file, once."""
        once_more(lambda: self._once(page, key, act, incident, delivery), self._key)

    def _once(self, page: Page, key: str, act: Act, incident: Incident, delivery: Delivery) -> None:
        def event(block_chars: int) -> dict[str, Any]:
            known = {"routing_key": self._key.value, "event_action": page.value, "dedup_key": key}
            if page is not Page.TRIGGER:
                return known
            return known | self._content(act, incident, delivery, block_chars)

        body, secret = fitted(event, _MOST_BYTES), self._key.value
        headers = {"Content-Type": "application/json"}
        try:
            self._http.post(self._url, body, headers, creates=False, hidden=secret)
        except DeliveryError as error:
            if error.kind is DeliveryFailure.REJECTED and "routing" in str(error).lower():
                raise DeliveryError(DeliveryFailure.MISCONFIGURED, str(error)) from None
            raise

    def _content(self, act: Act, incident: Incident, delivery: Delivery, block_chars: int) -> dict[str, Any]:
        shown = view(incident, delivery, told=act.told)
        page = page_of(incident, self._public_url)
        return {
            "client": "pgvigil",
            **({"client_url": page, "links": [{"href": page, "text": incident.name}]} if page else {}),
            "payload": {
                "summary": one_line(f"{shown.title} · {shown.place}: {shown.lead}", _SUMMARY_CHARS),
                "source": one_line(incident.target, 255),
                "severity": _SEVERITIES[incident.severity],
                "timestamp": incident.pending_since.isoformat(),
                "component": one_line(incident.database or incident.target, 255),
                "class": incident.rule,
                "custom_details": account(incident, shown, block_chars),
            },
        }


def _build(_name: str, params: PagerDutyParams, public_url: str) -> Sink:
    return PagerDutySink(SecretFile(params.routing_key_file), params, public_url)


SINK = SinkKind(
    name="pagerduty",
    summary="PagerDuty: people are called, and the incident there is acknowledged and closed with the one here.",
    params=PagerDutyParams,
    build=_build,
)
