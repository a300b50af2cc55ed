"""The sink with an incoming webhook: it can only post, and never sees what it sent."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.request import Request

from slack_sdk.webhook import WebhookClient, WebhookResponse

from alerts.sinks._deadline import whole
from alerts.sinks._failures import broken
from alerts.sinks._secret import SecretFile
from alerts.sinks.slack.api import quiet_logger
from alerts.sinks.slack.digest import LINES, render_digest
from alerts.sinks.slack.errors import AUTHENTICATION, BROKEN, CONTENT, RefusedError, answered
from alerts.sinks.slack.message import Tier, render
from alerts.sinks.slack.tiers import TierMemory
from pgvigil.model.delivery import Act, CannotLookError, Delivery, DeliveryError, DeliveryFailure, Recalled
from pgvigil.model.digest import Digest
from pgvigil.model.incident import Incident
from pgvigil.problems import Problem

_BLIND = "a webhook shows nothing of what it sent"


class _Client(WebhookClient):
    """The SDK's, with an end to a whole call."""

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        status, headers, body = whole(req, self.timeout, self.ssl)
        text = body.decode(headers.get_content_charset() or "utf-8")
        return WebhookResponse(url=url, status_code=status, body=text, headers=dict(headers))


class WebhookSink:
    """A handle is empty: there is nothing to come back to."""

    can_edit = False
    can_reply = False
    digest_lines = LINES

    def __init__(
        self, name: str, url: SecretFile, timeout_s: float, public_url: str, clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._url = url
        self._timeout_s = math.ceil(timeout_s)
        self._public_url = public_url
        self._tiers = TierMemory(clock)

    @property
    def fallbacks(self) -> Mapping[str, int]:
        """How many messages went out in a simpler form, because Slack refused the full one."""
        return self._tiers.fallbacks

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,
    ) -> Mapping[str, str]:
        """See `Sink.perform`."""
        if not act.creates:
            raise DeliveryError(DeliveryFailure.REJECTED, "a webhook cannot edit")

        def attempt(tier: Tier) -> Mapping[str, str]:
            message = render(
                act,
                incident,
                delivery,
                public_url=self._public_url,
                tier=tier,
                possible_duplicate_of=possible_duplicate_of,
            )
            return self._send({key: message[key] for key in ("text", "blocks") if message[key]})

        try:
            return self._tiers.send(incident.id, attempt)
        except RefusedError as refused:
            raise refused.as_delivery(creates=True) from None

    def find(self, act: Act, incident: Incident, delivery: Delivery) -> Mapping[str, str] | None:  # noqa: ARG002 - the protocol names them
        """See `Sink.find`: there is no way."""
        raise CannotLookError(_BLIND)

    def recall(self, act: Act, incident: Incident, delivery: Delivery) -> Recalled | None:  # noqa: ARG002 - the protocol names them
        """See `Sink.recall`: there is no way."""
        raise CannotLookError("a webhook shows nothing of what it sent")

    def tell(self, digest: Digest, *, possible_duplicate_of: datetime | None = None) -> Mapping[str, str]:
        """See `Sink.tell`."""

        def attempt(tier: Tier) -> Mapping[str, str]:
            message = render_digest(
                digest, public_url=self._public_url, tier=tier, possible_duplicate_of=possible_duplicate_of
            )
            return self._send({key: message[key] for key in ("text", "blocks") if message[key]})

        try:
            return self._tiers.send(-digest.id, attempt)
        except RefusedError as refused:
            raise refused.as_delivery(creates=True) from None

    def retell(self, digest: Digest, remote: Mapping[str, str]) -> None:  # noqa: ARG002 - the protocol names them
        """See `Sink.retell`: there is no way."""
        raise DeliveryError(DeliveryFailure.REJECTED, "what was told cannot be edited")

    def find_digest(self, digest: Digest, told_at: datetime) -> Mapping[str, str] | None:  # noqa: ARG002 - the protocol names them
        """See `Sink.find_digest`: there is no way."""
        raise CannotLookError(_BLIND)

    def check(self) -> tuple[Problem, ...]:
        """See `Sink.check`. Slack has no way to try a webhook without posting."""
        return (_degraded(self._name),)

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _send(self, message: dict[str, Any]) -> Mapping[str, str]:
        try:
            return self._once(message)
        except RefusedError as refused:
            if refused.error not in AUTHENTICATION or not self._url.renewed():
                raise
        return self._once(message)

    def _once(self, message: dict[str, Any]) -> Mapping[str, str]:
        client = _Client(self._url.value, timeout=self._timeout_s, retry_handlers=[], logger=quiet_logger())
        body = message | {"unfurl_links": False, "unfurl_media": False}
        try:
            response = client.send_dict(body)
        except BROKEN as error:
            raise broken(error, "Slack", creates=True) from None
        if response.status_code == 200 and response.body.strip() == "ok":
            return {}
        raise _refusal(response.status_code, response.body.strip(), response.headers)


def _degraded(sink: str) -> Problem:
    return Problem(
        slug="slack-webhook-limited",
        sentence=f"The sink {sink} has an incoming webhook, which can neither edit nor answer nor look: every change"
        " is a new message, and after a time-out a message may come twice, marked as a possible duplicate.",
        why="With a bot token there is one message for each incident, which is edited in place and answered in its"
        " thread.",
        fix=f"Give [sinks.{sink}] a token_file and a channel instead; docs/how-to/slack.md shows how.",
    )


def _refusal(status: int, said: str, headers: Mapping[str, str]) -> Exception:
    given = {name.lower(): value for name, value in headers.items()}
    known = said if status != 400 or said in CONTENT else "invalid_payload"
    detail, wait = "" if known == said else said, given.get("retry-after")
    # Slack's own words are plain text. A page is of something between; what was cut off may be Slack's.
    from_slack = status < 300 and "html" not in given.get("content-type", "")
    return answered(status, known, detail, wait, creates=True, from_slack=from_slack)
