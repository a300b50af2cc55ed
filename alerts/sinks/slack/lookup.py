"""Finding what was sent before, by the metadata of messages."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from alerts.sinks.slack.errors import BLIND, RefusedError
from pgvigil.model.delivery import Act, CannotLookError, Delivery, Recalled
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level

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


def recall_message(
    call: Call, act: Act, incident: Incident, delivery: Delivery, wanted: Mapping[str, Any], *, channel: str
) -> Recalled | None:
    """The root that was told of the incident, or in a lost time of one with its fault; and what was heard last.

    `wanted` are the rule and the fault. Raises CannotLookError as `find_message` does, and for messages that do not
    say what was heard.
    """
    known = delivery.remote.get("ts")
    above = act.lost_above or 0
    where: dict[str, Any] = {"channel": channel, "include_all_metadata": True, "limit": _PAGE}

    def concerned(message: Mapping[str, Any]) -> bool:
        payload = _payload(message)
        number = payload.get("incident")
        if not isinstance(number, int) or (number != incident.id and number <= above):
            return False
        return all(payload.get(key) == value for key, value in wanted.items())

    def read(method: str, more: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        try:
            return [message for message in _messages(call, method, {**where, **more}) if concerned(message)]
        except RefusedError as refused:
            if refused.error in BLIND:
                raise CannotLookError(f"Slack says {refused.error} to {method}") from None
            if refused.error == "thread_not_found":
                return []
            raise

    if known is None:
        since = delivery.act_at or delivery.due_since
        roots = read("conversations.history", {"oldest": f"{(since - CLOCK_SKEW).timestamp():.6f}"})
        roots = [message for message in roots if not str(_payload(message).get("act")).endswith(":reply")]
        if not roots:
            return None
        known = str(max(roots, key=_ts)["ts"])
    told = read("conversations.replies", {"ts": known})
    if not told:
        return None
    replies = [message for message in told if message["ts"] != known]
    state, level = _heard(max(replies or told, key=_ts))
    return Recalled({"channel": channel, "ts": known}, state, level)


def _heard(message: Mapping[str, Any]) -> tuple[State, Level]:
    state, _, level = str(_payload(message).get("heard")).partition(":")
    try:
        return State(state), Level(int(level))
    except ValueError:
        raise CannotLookError("the message was sent by an older pgvigil") from None


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = message.get("metadata")
    payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
    return payload if isinstance(payload, dict) else {}


def _ts(message: Mapping[str, Any]) -> float:
    return float(message["ts"])


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
