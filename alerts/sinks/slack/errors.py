"""What a failed call to Slack means for the outbox.

Slack's documentation says of `internal_error` and `fatal_error` that some of
the operation may have succeeded; an error page with 500, 502 or 504 tells no more than that.
"""

import re
from http.client import HTTPException

from slack_sdk.errors import SlackClientError

from alerts.sinks._failures import PERHAPS_DONE_STATUS, asked_to_wait, perhaps
from pgvigil.model.delivery import DeliveryError, DeliveryFailure
from pgvigil.text import one_line

CONTENT = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "invalid_json",
        "invalid_payload",
        "invalid_arguments",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "metadata_too_large",
    }
)
AUTHENTICATION = frozenset(
    {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "no_service"}
)
CHANNEL = frozenset({"channel_not_found", "not_in_channel", "is_archived", "channel_is_archived"})
BLIND = frozenset({"missing_scope", "not_in_channel", "not_allowed_token_type", "no_permission"})
_GONE = frozenset(
    {
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "is_inactive",
        "thread_not_found",
        "cannot_reply_to_message",
    }
)
_RATE_LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_PERHAPS_DONE = frozenset({"internal_error", "fatal_error"})
_NOT_DONE = frozenset({"service_unavailable", "request_timeout", "team_added_to_org"})
# What slack-sdk, urllib and http.client let out when an answer breaks off or makes no sense: besides errors of
# sockets and of HTTP, also those of decoding it (ValueError, LookupError) and of taking it apart.
BROKEN = (OSError, HTTPException, SlackClientError, ValueError, LookupError, AttributeError, TypeError)
_ERROR_NAME = re.compile(r"[a-z][a-z0-9_]{1,60}")


class RefusedError(Exception):
    """Slack answered and did nothing: `error` is its name for why, `detail` what it adds."""

    def __init__(self, error: str, detail: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.detail = one_line(detail, 300)

    def as_delivery(self, creates: bool) -> DeliveryError:
        """What the outbox is told. An unknown name waits for people rather than being lost."""
        words = f"Slack says {self.error}" + (f" ({self.detail})" if self.detail else "")
        if self.error in AUTHENTICATION:
            words += ": the token or webhook is wrong, expired or revoked"
        return DeliveryError(_kind(self.error, creates), words)


def _kind(error: str, creates: bool) -> DeliveryFailure:
    if error in _GONE:
        return DeliveryFailure.GONE
    if error in CONTENT:
        return DeliveryFailure.REJECTED
    if error in _PERHAPS_DONE:
        return perhaps(creates)
    return DeliveryFailure.TRANSIENT if error in _NOT_DONE else DeliveryFailure.MISCONFIGURED


def answered(
    status: int, error: str, detail: str, retry_after: object, *, creates: bool, from_slack: bool
) -> Exception:
    """The exception for an answer that is not success. `from_slack` is False where it is a page of something between
    us and Slack, and not of Slack; an answer that was cut off before it says what it is may well be Slack's.
    """
    if status == 429 or error in _RATE_LIMITED:
        return asked_to_wait("Slack", retry_after)
    if status in PERHAPS_DONE_STATUS:
        return DeliveryError(perhaps(creates), f"Slack answered HTTP {status}")
    if status >= 500:
        return DeliveryError(DeliveryFailure.TRANSIENT, f"Slack answered HTTP {status}")
    if not _ERROR_NAME.fullmatch(error):
        if from_slack:
            return DeliveryError(perhaps(creates), f"HTTP {status} with an answer that cannot be read")
        return DeliveryError(DeliveryFailure.TRANSIENT, f"HTTP {status} with a page that is not Slack's")
    return RefusedError(error, detail)
