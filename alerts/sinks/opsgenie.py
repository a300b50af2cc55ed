"""Opsgenie, and Jira Service Management, which has its API: calls people by the Alert API, and closes what is over.

Limits: https://docs.opsgenie.com/docs/alert-api (message 130 characters, alias 512, description 15000, 202 accepted).
Atlassian ends Opsgenie in April 2027: this is kept thin on purpose.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from pydantic import Field, field_validator

from alerts.render import fit_block, view
from alerts.sinks._account import page_of
from alerts.sinks._http import HttpClient, HttpParams, checked_url
from alerts.sinks._paging import Page, PagingSink
from alerts.sinks._secret import SecretFile, once_more
from alerts.sinks.console import as_text
from pgvigil.model.delivery import Act, Delivery
from pgvigil.model.incident import Incident
from pgvigil.model.level import Level
from pgvigil.plugins import Sink, SinkKind
from pgvigil.text import one_line

_MESSAGE_CHARS = 130
_DESCRIPTION_CHARS = 15_000
_PRIORITIES = {Level.CRITICAL: "P1", Level.WARNING: "P3", Level.INFO: "P5", Level.HOLD: "P5"}
_CALLS: Mapping[Page, str] = MappingProxyType({Page.ACKNOWLEDGE: "acknowledge", Page.RESOLVE: "close"})


class OpsgenieParams(HttpParams):
    api_key_file: Path = Field(description="File with the key of an API integration.")
    url: str = Field(
        "https://api.opsgenie.com/v2/alerts",
        description="Where alerts go; https://api.eu.opsgenie.com/v2/alerts in the EU.",
    )

    _url = field_validator("url")(checked_url)


class OpsgenieSink(PagingSink):
    """See `PagingSink`; the key is the alias."""

    def __init__(self, key: SecretFile, params: OpsgenieParams, public_url: str) -> None:
        self._key = key
        self._url = params.url
        self._public_url = public_url
        self._http = HttpClient("Opsgenie", params.timeout, params.ca_file)

    def send(self, page: Page, key: str, act: Act, incident: Incident, delivery: Delivery) -> None:
        """See `PagingSink.send`."""
        if page is Page.TRIGGER:
            alert = self._alert(key, act, incident, delivery)
            once_more(lambda: self._post(self._url, alert), self._key)
            return
        address = f"{self._url}/{quote(key, safe='')}/{_CALLS[page]}?identifierType=alias"
        note = {"source": "pgvigil", "note": one_line(", ".join(incident.marks) or incident.reason)}
        once_more(lambda: self._post(address, note), self._key)

    def _alert(self, key: str, act: Act, incident: Incident, delivery: Delivery) -> dict[str, Any]:
        shown = view(incident, delivery, told=act.told)
        page = page_of(incident, self._public_url)
        text = as_text(shown) + (f"  {page}\n" if page else "")
        return {
            "alias": key,
            "message": one_line(f"{shown.title} · {shown.place}: {shown.lead}", _MESSAGE_CHARS),
            "description": fit_block(text, _DESCRIPTION_CHARS),
            "priority": _PRIORITIES[incident.severity],
            "source": "pgvigil",
            "entity": one_line(incident.target),
            "tags": ["pgvigil", incident.rule, incident.severity.word],
            "details": {
                "incident": incident.name,
                "target": one_line(incident.target),
                "database": one_line(incident.database or ""),
                **({"page": page} if page else {}),
            },
        }

    def _post(self, address: str, message: Mapping[str, Any]) -> None:
        secret = self._key.value
        headers = {"Content-Type": "application/json", "Authorization": f"GenieKey {secret}"}
        body = json.dumps(message).encode()
        self._http.post(address, body, headers, creates=False, hidden=secret)


def _build(_name: str, params: OpsgenieParams, public_url: str) -> Sink:
    return OpsgenieSink(SecretFile(params.api_key_file), params, public_url)


SINK = SinkKind(
    name="opsgenie",
    summary="Opsgenie: people are called, and the alert there is acknowledged and closed with the incident here.",
    params=OpsgenieParams,
    build=_build,
)
