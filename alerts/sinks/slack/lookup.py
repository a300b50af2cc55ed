"""Finding what was sent before, by the metadata of messages."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from alerts.sinks.slack.errors import BLIND, RefusedError
from pgvigil.model.delivery import CannotLookError

Call = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]

# Slack's stamps are of Slack's clock: a host whose clock is an hour off still finds its message.
CLOCK_SKEW = timedelta(hours=1)
_IDENTITY = frozenset({"act", "rule", "fault", "key"})
_PAGE = 200
_PAGES = 10


def find_message(
    call: Call, wanted: Mapping[str, Any], *, channel: str, since: datetime | None, thread: str | None
) -> str | None:
    """The ts of the message with the metadata `wanted` in the channel, or in the thread; None without one.

    Raises CannotLookError without the scope, and when there is more to read than is reasonable.
    """
    where: dict[str, Any] = {"channel": channel, "include_all_metadata": True, "limit": _PAGE}
    if since is not None:
        where["oldest"] = f"{(since - CLOCK_SKEW).timestamp():.6f}"
    if thread is not None:
        where["ts"] = thread
    method = "conversations.history" if thread is None else "conversations.replies"
    try:
        for message in _messages(call, method, where):
            if _matches(message.get("metadata"), wanted):
                return str(message["ts"])
    except RefusedError as refused:
        if refused.error in BLIND:
            raise CannotLookError(f"Slack says {refused.error} to {method}") from None
        if refused.error == "thread_not_found":
            return None  # someone deleted the thread, and what was in it
        raise
    return None


def _messages(call: Call, method: str, where: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
    for _ in range(_PAGES):
        answer = call(method, where)
        yield from answer.get("messages") or ()
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return
        where = where | {"cursor": cursor}
    raise CannotLookError(f"more than {_PAGE * _PAGES:,} messages to look through")


def _matches(metadata: Any, wanted: Mapping[str, Any]) -> bool:
    if not isinstance(metadata, dict) or metadata.get("event_type") != wanted["event_type"]:
        return False
    payload = metadata.get("event_payload")
    identity = {key: value for key, value in wanted["event_payload"].items() if key in _IDENTITY}
    return isinstance(payload, dict) and all(payload.get(key) == value for key, value in identity.items())
