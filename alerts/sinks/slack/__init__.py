"""Slack: one message per incident, edited in place, answered in its thread when it must be heard."""

import time
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from alerts.sinks._secret import SecretFile
from alerts.sinks.slack.api import SlackApi
from alerts.sinks.slack.sink import SlackSink
from alerts.sinks.slack.webhook import WebhookSink
from pgvigil.plugins import Params, Sink, SinkKind
from pgvigil.units import DurationS


class SlackParams(Params):
    """Either a bot token with a channel, or an incoming webhook, which carries its channel in itself."""

    token_file: Path | None = Field(
        None, description="File with a bot token (xoxb-...); read again when rotated."
    )
    webhook_url_file: Path | None = Field(
        None, description="File with an incoming webhook's URL instead: no edits, no threads, no look back."
    )
    channel: str = Field("", description="Name (#db-oncall) or id of the channel. Needed with a token.")
    base_url: str = Field("https://slack.com/api/", description="Where Slack's Web API is; for tests.")
    timeout: DurationS = Field(10.0, description="How long to wait for Slack at each step of a call.")

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("must begin with https://")
        return value.rstrip("/") + "/"

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.token_file is None) == (self.webhook_url_file is None):
            raise ValueError("give exactly one of token_file and webhook_url_file")
        if self.token_file is not None and not self.channel.strip("# "):
            raise ValueError("channel is needed with token_file")
        if self.webhook_url_file is not None and self.channel:
            raise ValueError("channel has no effect with webhook_url_file: the webhook carries its channel")
        return self


def _build(name: str, params: SlackParams, public_url: str) -> Sink:
    if params.webhook_url_file is not None:
        url = SecretFile(params.webhook_url_file)
        return WebhookSink(name, url, params.timeout, public_url, time.monotonic)
    if params.token_file is None:
        raise TypeError("SlackParams holds neither a token nor a webhook")
    api = SlackApi(SecretFile(params.token_file), params.base_url, params.timeout)
    return SlackSink(name, api, params.channel, public_url, time.monotonic)


SINK = SinkKind(
    name="slack",
    summary="Slack: the diagnosis in one message per incident, edited in place.",
    params=SlackParams,
    build=_build,
)
