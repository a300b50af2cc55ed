"""Sinks that send to the fake, and how to send."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alerts.sinks.slack import SINK, SlackParams
from alerts.sinks.slack.sink import SlackSink
from daemon.demo.fake_slack import FakeSlack
from pgvigil.model.delivery import Act, ActKind, Delivery, DeliveryError, DeliveryFailure
from tests.unit.sinks.samples import act, delivery, pile_up

POST, EDIT, REPLY = ActKind.POST, ActKind.EDIT, ActKind.REPLY


def built(slack: FakeSlack, token_file: Path, channel: str = "#db-oncall", timeout: str = "1s") -> SlackSink:
    params = SlackParams(token_file=token_file, channel=channel, base_url=slack.url, timeout=timeout)
    made = SINK.build("oncall", params, "")
    assert isinstance(made, SlackSink)
    return made


def post(sink: Any, row: Delivery | None = None, **options: Any) -> Delivery:
    row = row or delivery()
    return replace(row, remote=sink.perform(act(), pile_up(), row, **options))


def failure(
    sink: Any, doing: Act | None = None, row: Delivery | None = None
) -> tuple[DeliveryFailure, DeliveryError]:
    with pytest.raises(DeliveryError) as caught:
        sink.perform(doing or act(), pile_up(), row or delivery())
    return caught.value.kind, caught.value
