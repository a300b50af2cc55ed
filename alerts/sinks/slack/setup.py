"""What is wrong with a set-up, in sentences that say what to do."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from alerts.sinks.slack.errors import RefusedError

Call = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]

_PAGES = 50


def find_channel(call: Call, name_or_id: str) -> Mapping[str, Any] | None:
    """The channel as Slack describes it, or None when there is none that the bot can see.

    Raises RefusedError (`missing_scope`) when the bot may not list channels, and DeliveryError.
    """
    wanted = name_or_id.lstrip("#")
    if name_or_id == wanted and looks_like_id(wanted):
        try:
            found: Mapping[str, Any] = call("conversations.info", {"channel": wanted})["channel"]
        except RefusedError as refused:
            if refused.error == "channel_not_found":
                return None
            raise
        return found
    return next((channel for channel in _channels(call) if channel.get("name") == wanted), None)


def looks_like_id(text: str) -> bool:
    return len(text) >= 9 and text[0] in "CGD" and text.isalnum() and text.isupper()


def _channels(call: Call) -> Iterator[Mapping[str, Any]]:
    """Public ones, and private ones where the scopes allow it."""
    where: dict[str, Any] = {
        "types": "public_channel,private_channel",
        "limit": 1000,
        "exclude_archived": False,
    }
    try:
        answer = call("conversations.list", where)
    except RefusedError as refused:
        if refused.error != "missing_scope":
            raise
        where["types"] = "public_channel"
        answer = call("conversations.list", where)
    for _ in range(_PAGES):
        yield from answer.get("channels") or ()
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return
        answer = call("conversations.list", where | {"cursor": cursor})


def scope_problems(scopes: frozenset[str] | None, *, private: bool) -> Iterator[str]:
    """Sentences about scopes that are missing; nothing where Slack did not say which there are."""
    if scopes is None:
        return
    if "chat:write" not in scopes:
        yield "the token lacks the scope chat:write: nothing can be sent"
    history = "groups:history" if private else "channels:history"
    if history not in scopes:
        yield (
            f"the token lacks the scope {history}: after a crash or time-out a message may come twice, "
            "marked as a possible duplicate"
        )


def channel_problems(
    channel: Mapping[str, Any] | None, named: str, scopes: frozenset[str] | None
) -> Iterator[str]:
    """Sentences about a channel that was looked for."""
    if channel is None:
        yield f"there is no channel {named} that the bot can see: create it, or invite the bot (/invite)"
        return
    if channel.get("is_archived"):
        yield f"the channel {named} is archived"
    if channel.get("is_member") is False:
        public = scopes is not None and "chat:write.public" in scopes
        effect = "it can write there but not read what it wrote" if public else "it cannot write there"
        yield f"the bot is not a member of {named}: {effect}; invite it (/invite)"
