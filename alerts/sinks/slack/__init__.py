"""Slack: one message per incident, edited in place, answered in its thread when it must be heard."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from alerts.sinks._secret import SecretFile
from alerts.sinks.slack.api import SlackApi
from alerts.sinks.slack.receiver import SlackReceiver
from alerts.sinks.slack.sink import SlackSink
from alerts.sinks.slack.socket_mode import Socket
from alerts.sinks.slack.webhook import WebhookSink
from pgvigil.model.moment import Moment
from pgvigil.plugins import Params, Sink, SinkKind
from pgvigil.receiver import Receiver
from pgvigil.units import DurationS


class SlackParams(Params):
    """Either a bot token with a channel, or an incoming webhook, which carries its channel in itself."""

    token_file: Path | None = Field(
        None, description="File with a bot token (xoxb-...); read again when rotated."
    )
    webhook_url_file: Path | None = Field(
        None, description="File with an incoming webhook's URL instead: no edits, no threads, no look back."
    )
    app_token_file: Path | None = Field(
        None, description="File with an app-level token (xapp-...): buttons, heard by Socket Mode."
    )
    signing_secret_file: Path | None = Field(
        None, description="File with the app's signing secret: buttons, heard at POST /receivers/NAME."
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
        if self.webhook_url_file is not None and self.answers:
            raise ValueError("buttons (app_token_file, signing_secret_file) need a token_file")
        return self

    @property
    def answers(self) -> bool:
        """Whether its buttons are heard in some way."""
        return self.app_token_file is not None or self.signing_secret_file is not None


def _build(name: str, params: SlackParams, public_url: str) -> Sink:
    if params.webhook_url_file is not None:
        url = SecretFile(params.webhook_url_file)
        return WebhookSink(name, url, params.timeout, public_url, time.monotonic)
    if params.token_file is None:
        raise TypeError("SlackParams holds neither a token nor a webhook")
    api = SlackApi(SecretFile(params.token_file), params.base_url, params.timeout)
    if params.signing_secret_file is not None:
        SecretFile(params.signing_secret_file)  # says what is wrong with it, before anybody presses
    app = None
    if params.app_token_file is not None:
        app = SlackApi(SecretFile(params.app_token_file), params.base_url, params.timeout)
    return SlackSink(name, api, params.channel, public_url, time.monotonic, answers=params.answers, app=app)


def _receiver(name: str, params: SlackParams, now: Callable[[], Moment]) -> Receiver | None:
    if params.token_file is None or not params.answers:
        return None
    speaks = SlackApi(SecretFile(params.token_file), params.base_url, params.timeout)
    socket, secret = None, None
    if params.app_token_file is not None:
        app = SlackApi(SecretFile(params.app_token_file), params.base_url, params.timeout)
        socket = Socket(name, lambda: str(app.call("apps.connections.open", {}).get("url", "")))
    if params.signing_secret_file is not None:
        secret = SecretFile(params.signing_secret_file)
    return SlackReceiver(name, speaks, now, socket=socket, secret=secret)


SINK = SinkKind(
    name="slack",
    summary="Slack: the diagnosis in one message per incident, edited in place.",
    params=SlackParams,
    build=_build,
    receive=_receiver,
)
