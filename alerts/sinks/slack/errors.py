"""What a failed call to Slack means for the outbox.

The question that matters is whether something was created. urllib wraps in URLError what failed before the
request was wholly written (DNS, refusal, TLS, a send that broke); what fails after it comes bare, and then the
message may be in the channel. Slack's documentation says of `internal_error` and `fatal_error` that some of
the operation may have succeeded; an error page with 500, 502 or 504 tells no more than that.
"""

import re
from http.client import HTTPException
from urllib.error import URLError

from slack_sdk.errors import SlackClientError

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
_PERHAPS_DONE_STATUS = frozenset({500, 502, 504})
# What slack-sdk, urllib and http.client let out when an answer breaks off or makes no sense: besides errors of
# sockets and of HTTP, also those of decoding it (ValueError, LookupError) and of taking it apart.
BROKEN = (OSError, HTTPException, SlackClientError, ValueError, LookupError, AttributeError, TypeError)
_DEFAULT_RETRY_S = 30.0
_LONGEST_RETRY_S = 3600.0
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


def perhaps(creates: bool) -> DeliveryFailure:
    """It may have been done: only creating something twice is a fault."""
    return DeliveryFailure.AMBIGUOUS if creates else DeliveryFailure.TRANSIENT


def answered(
    status: int, error: str, detail: str, retry_after: object, *, creates: bool, from_slack: bool
) -> Exception:
    """The exception for an answer that is not success. `from_slack` is False where it is a page of something between
    us and Slack, and not of Slack; an answer that was cut off before it says what it is may well be Slack's.
    """
    if status == 429 or error in _RATE_LIMITED:
        wait_s = retry_after_s(retry_after)
        return DeliveryError(
            DeliveryFailure.RATE_LIMITED, f"Slack asks to wait {wait_s:.0f} s", retry_after_s=wait_s
        )
    if status in _PERHAPS_DONE_STATUS:
        return DeliveryError(perhaps(creates), f"Slack answered HTTP {status}")
    if status >= 500:
        return DeliveryError(DeliveryFailure.TRANSIENT, f"Slack answered HTTP {status}")
    if not _ERROR_NAME.fullmatch(error):
        if from_slack:
            return DeliveryError(perhaps(creates), f"HTTP {status} with an answer that cannot be read")
        return DeliveryError(DeliveryFailure.TRANSIENT, f"HTTP {status} with a page that is not Slack's")
    return RefusedError(error, detail)


def broken(error: Exception, *, creates: bool) -> DeliveryError:
    """The call did not end in an answer."""
    if isinstance(error, URLError):
        return DeliveryError(DeliveryFailure.TRANSIENT, f"Slack cannot be reached: {_reason(error.reason)}")
    return DeliveryError(perhaps(creates), f"no answer from Slack: {_reason(error)}")


def _reason(error: object) -> str:
    """The kind of error and the system's words for it: an exception's own text may hold a URL."""
    if isinstance(error, TimeoutError):
        return "timed out"
    words = getattr(error, "strerror", None) or ""
    if not words and isinstance(error, OSError) and str(error).startswith("Tunnel connection failed"):
        words = str(error)  # the proxy's answer, with its status
    return f"{type(error).__name__} ({one_line(words, 100)})" if words else type(error).__name__


def retry_after_s(header: object) -> float:
    """Seconds to wait, from a header that may hold anything."""
    try:
        wait_s = float(str(header))
    except ValueError:
        return _DEFAULT_RETRY_S
    return min(max(wait_s, 1.0), _LONGEST_RETRY_S) if wait_s == wait_s else _DEFAULT_RETRY_S  # noqa: PLR0124 - NaN
