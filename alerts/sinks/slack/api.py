"""slack-sdk's client, one call at a time: no retries, every deadline ours, errors for the outbox."""

import logging
import math
from collections.abc import Mapping
from typing import Any
from urllib.request import Request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from alerts.sinks._deadline import whole
from alerts.sinks._failures import broken
from alerts.sinks._secret import SecretFile
from alerts.sinks.slack.errors import AUTHENTICATION, BROKEN, RefusedError, answered


def quiet_logger() -> logging.Logger:
    """The SDK logs message texts and webhook URLs at debug, and every failure: what matters is raised instead."""
    logging.getLogger("slack_sdk").setLevel(logging.INFO)
    logger = logging.getLogger("alerts.sinks.slack.sdk")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


class _Client(WebClient):
    """The SDK's, with an end to a whole call: it waits for each byte of an answer as long as for the first."""

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:  # noqa: ARG002 - the SDK names it
        status, headers, body = whole(req, self.timeout, self.ssl)
        text = body.decode(headers.get_content_charset() or "utf-8")
        return {"status": status, "headers": headers, "body": text}


class SlackApi:
    """`call` raises DeliveryError when there was no answer, and RefusedError when Slack refused.

    A token that Slack rejects is read again from its file, once: it may have been rotated.
    """

    def __init__(self, token: SecretFile, base_url: str, timeout_s: float) -> None:
        self._token = token
        self._base_url = base_url
        self._timeout_s = math.ceil(timeout_s)
        self._client = self._new_client()
        self.scopes: frozenset[str] | None = None  # as of the last answer, where Slack gave them

    def __repr__(self) -> str:
        return f"SlackApi({self._base_url!r})"

    def call(self, method: str, arguments: Mapping[str, Any], *, creates: bool = False) -> dict[str, Any]:
        """Slack's answer. `creates` says that doing it twice would be seen."""
        try:
            return self._once(method, arguments, creates=creates)
        except RefusedError as refused:
            if refused.error not in AUTHENTICATION or not self._token.renewed():
                raise
        self._client = self._new_client()
        return self._once(method, arguments, creates=creates)

    def _once(self, method: str, arguments: Mapping[str, Any], *, creates: bool) -> dict[str, Any]:
        try:
            if method.startswith(("chat.", "views.")):
                response = self._client.api_call(method, json=dict(arguments))
            else:
                response = self._client.api_call(method, params=dict(arguments))
        except SlackApiError as error:
            raise _refusal(error, creates=creates) from None
        except BROKEN as error:
            raise broken(error, "Slack", creates=creates) from None
        self.scopes = _scopes(response.headers)
        return dict(response.data) if isinstance(response.data, dict) else {}

    def _new_client(self) -> WebClient:
        return _Client(
            token=self._token.value,
            base_url=self._base_url,
            timeout=self._timeout_s,
            retry_handlers=[],
            logger=quiet_logger(),
        )


def _refusal(error: SlackApiError, *, creates: bool) -> Exception:
    response = error.response
    data = response.data if isinstance(response.data, dict) else {}
    said = data.get("response_metadata")
    details = said.get("messages", ()) if isinstance(said, dict) else ()
    needed = f"needs {data['needed']}" if data.get("needed") else ""
    detail = "; ".join([*map(str, details), *filter(None, [needed])])
    headers = {name.lower(): value for name, value in response.headers.items()}
    name = str(data.get("error", ""))
    content_type = headers.get("content-type", "")
    from_slack = "json" in content_type or (response.status_code < 300 and "html" not in content_type)
    wait = headers.get("retry-after")
    return answered(response.status_code, name, detail, wait, creates=creates, from_slack=from_slack)


def _scopes(headers: Mapping[str, str]) -> frozenset[str] | None:
    given = next((value for name, value in headers.items() if name.lower() == "x-oauth-scopes"), None)
    return None if given is None else frozenset(scope.strip() for scope in given.split(","))
