"""Alertmanager: incidents as alerts, for those whose routes, silences and receivers are there already.

The v2 API takes the same alert again and again; an alert is over when its `endsAt` has passed, so that one which is not
sent again ends by itself. What goes on is therefore sent every minute, with an `endsAt` of some minutes hence:
https://prometheus.io/docs/alerting/latest/clients/
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from alerts.render import fit_block, view
from alerts.sinks._account import page_of
from alerts.sinks._blind import Blind
from alerts.sinks._http import HttpClient, HttpParams, checked_url
from alerts.sinks._secret import SecretFile, once_more
from alerts.sinks.console import as_text
from pgvigil.model.delivery import Act, Delivery
from pgvigil.model.incident import Incident, State
from pgvigil.model.moment import Moment
from pgvigil.plugins import Sink, SinkKind
from pgvigil.text import one_line
from pgvigil.units import DurationS

_REFRESH_S = 60.0
_TEXT_CHARS = 8_000
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_]")


class AlertmanagerParams(HttpParams):
    url: str = Field(description="Where Alertmanager is, such as http://127.0.0.1:9093.")
    authorization_file: Path | None = Field(
        None, description='File with the Authorization header, such as "Bearer ...".'
    )
    lives_for: DurationS = Field(
        300.0,
        ge=3 * _REFRESH_S,
        description="How long an alert goes on in Alertmanager after pgvigil was last heard of.",
    )

    _url = field_validator("url")(checked_url)


class AlertmanagerSink(Blind):
    """A handle holds the severity that was said last: as a label it is part of the alert's identity."""

    can_edit = True

    def __init__(self, params: AlertmanagerParams, public_url: str, now: Callable[[], Moment]) -> None:
        self._url = f"{params.url}/api/v2/alerts"
        self._lives_for = timedelta(seconds=params.lives_for)
        self._public_url = public_url
        self._now = now
        self._http = HttpClient("Alertmanager", params.timeout, params.ca_file)
        self._authorization = (
            None if params.authorization_file is None else SecretFile(params.authorization_file)
        )

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,  # noqa: ARG002 - there are no duplicates
    ) -> Mapping[str, str]:
        """See `Sink.perform`. An alert of another severity that was said before ends in the same call."""
        severity, before = incident.severity.word, delivery.remote.get("severity", "")
        now = self._now().utc
        over = incident.state is State.RESOLVED
        ends = (incident.resolved_at or now) if over else now + self._lives_for
        alerts = [self._alert(act, incident, delivery, severity, ends)]
        if before not in ("", severity):
            alerts.append(self._alert(act, incident, delivery, before, min(now, ends)))
        once_more(lambda: self._post(alerts), self._authorization)
        return {"severity": severity}

    def _post(self, alerts: list[dict[str, Any]]) -> None:
        headers, hidden = {"Content-Type": "application/json"}, ""
        if self._authorization is not None:
            hidden = headers["Authorization"] = self._authorization.value
        body = json.dumps(alerts, ensure_ascii=False).encode("utf-8", "replace")
        self._http.post(self._url, body, headers, creates=False, hidden=hidden)

    def _alert(
        self, act: Act, incident: Incident, delivery: Delivery, severity: str, ends: datetime
    ) -> dict[str, Any]:
        began = incident.fired_at or incident.pending_since
        shown = view(incident, delivery, told=act.told)
        page = page_of(incident, self._public_url)
        annotations = {
            "summary": shown.lead,
            "description": fit_block(as_text(shown), _TEXT_CHARS),
            "impact": shown.impact,
            "cause": shown.cause,
            "subject": one_line(incident.subject),
            "page": page,
            "acknowledged_by": one_line(incident.acknowledged_by or ""),
            "silenced_by": one_line(incident.silenced_by or ""),
            "suppressed_by": one_line(incident.suppressed_by or ""),
        }
        return {
            "labels": labels_of(incident, severity),
            "annotations": {name: value for name, value in annotations.items() if value},
            "startsAt": began.isoformat(),
            "endsAt": max(ends, began).isoformat(),
            **({"generatorURL": page} if page else {}),
        }


def labels_of(incident: Incident, severity: str) -> dict[str, str]:
    """The target's labels, under names that Alertmanager takes, and over them our own."""
    given = {_label_name(name): one_line(value) for name, value in incident.labels}
    own = {
        "alertname": incident.rule,
        "job": "pgvigil",
        "severity": severity,
        "incident": incident.name,
        "target": one_line(incident.target),
        "database": one_line(incident.database or ""),
    }
    return {name: value for name, value in (given | own).items() if value}


def _label_name(name: str) -> str:
    plain = _NOT_IN_NAME.sub("_", name)
    return f"_{plain}" if plain[:1].isdigit() else plain or "_"


def _build(_name: str, params: AlertmanagerParams, public_url: str, now: Callable[[], Moment]) -> Sink:
    return AlertmanagerSink(params, public_url, now)


SINK = SinkKind(
    name="alertmanager",
    summary="Alertmanager: incidents as alerts, refreshed while they last.",
    params=AlertmanagerParams,
    build=_build,
    timed=True,
    between_calls_s=0.0,
    refresh_s=_REFRESH_S,
)
