"""Sinks that speak HTTP, built to send to a receiver of ours."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from alerts.sinks import alertmanager, opsgenie, pagerduty, webhook
from daemon.clock import system_now
from pgvigil.model.delivery import Act, Delivery
from pgvigil.model.incident import Incident
from pgvigil.plugins import Sink, SinkKind
from tests.support.receiver import Asked, Receiver, Say
from tests.unit.sinks.samples import delivery

PUBLIC_URL = "https://pgvigil.example"
USUAL = {
    "alertmanager": Say(200, b""),
    "opsgenie": Say(202, b"{}"),
    "pagerduty": Say(202, b'{"status":"success"}'),
    "webhook": Say(204, b""),
}
KEY = "secret-key-of-32-characters-12345"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def made(kind: SinkKind, **params: Any) -> Sink:
    return kind.made("oncall", kind.params(**({"timeout": "300ms"} | params)), PUBLIC_URL, system_now)


def to_pagerduty(url: str, folder: Path, **more: Any) -> Sink:
    return made(pagerduty.SINK, url=url, routing_key_file=written(folder, "key", KEY), **more)


def to_opsgenie(url: str, folder: Path, **more: Any) -> Sink:
    return made(opsgenie.SINK, url=f"{url}/v2/alerts", api_key_file=written(folder, "key", KEY), **more)


def to_webhook(url: str, folder: Path, **more: Any) -> Sink:
    return made(webhook.SINK, url=url, secret_file=written(folder, "secret", KEY), **more)


def to_alertmanager(url: str, folder: Path, **more: Any) -> Sink:
    return made(alertmanager.SINK, url=url, authorization_file=written(folder, "header", KEY), **more)


BUILT: Mapping[str, Callable[..., Sink]] = {
    "alertmanager": to_alertmanager,
    "opsgenie": to_opsgenie,
    "pagerduty": to_pagerduty,
    "webhook": to_webhook,
}
IDEMPOTENT = ("alertmanager", "opsgenie", "pagerduty")


def told(receiver: Receiver) -> list[Any]:
    return [json.loads(asked.body) for asked in receiver.asked]


def last(receiver: Receiver) -> Asked:
    return receiver.asked[-1]


def perform(sink: Sink, doing: Act, incident: Incident, row: Delivery | None = None) -> Delivery:
    """The row after the act."""
    row = row or delivery()
    return replace(row, remote=sink.perform(doing, incident, row))
