"""What a call that failed means for the outbox, whatever the destination.

The question that matters is whether something was created. urllib wraps in URLError what failed before the
request was wholly written (DNS, refusal, TLS, a send that broke); what fails after it comes bare, and then the
message may have arrived.
"""

from urllib.error import URLError

from pgvigil.model.delivery import DeliveryError, DeliveryFailure
from pgvigil.text import one_line

PERHAPS_DONE_STATUS = frozenset({500, 502, 504})
_DEFAULT_RETRY_S = 30.0
_LONGEST_RETRY_S = 3600.0


def perhaps(creates: bool) -> DeliveryFailure:
    """It may have been done: only creating something twice is a fault."""
    return DeliveryFailure.AMBIGUOUS if creates else DeliveryFailure.TRANSIENT


def broken(error: Exception, who: str, *, creates: bool) -> DeliveryError:
    """The call did not end in an answer of `who`."""
    if isinstance(error, URLError):
        return DeliveryError(DeliveryFailure.TRANSIENT, f"{who} cannot be reached: {reason(error.reason)}")
    return DeliveryError(perhaps(creates), f"no answer from {who}: {reason(error)}")


def asked_to_wait(who: str, retry_after: object) -> DeliveryError:
    """`who` has too much of us; `retry_after` is its header."""
    wait_s = retry_after_s(retry_after)
    words = f"{who} asks to wait {wait_s:.0f} s"
    return DeliveryError(DeliveryFailure.RATE_LIMITED, words, retry_after_s=wait_s)


def reason(error: object) -> str:
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
