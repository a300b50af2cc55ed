"""What is wrong with a set-up, and what to do about it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from alerts.sinks.slack.errors import AUTHENTICATION, RefusedError
from pgvigil.problems import Problem

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


def refused(sink: str, error: RefusedError) -> Problem:
    """Slack answered and would not even look."""
    if error.error in AUTHENTICATION:
        return _token_invalid(sink, error.error)
    return Problem(
        slug="slack-refused",
        sentence=f"The sink {sink} cannot be checked: {error.as_delivery(creates=False)}.",
        why="Slack's name for the refusal is in its documentation, under the method that was called.",
        fix=f"Look the name up, and mend the app or [sinks.{sink}].",
    )


def app_token_problem(sink: str, error: RefusedError) -> Problem:
    """The app's own token opens no connection: nobody hears the buttons that messages have."""
    return Problem(
        slug="slack-app-token-invalid",
        sentence=f"The sink {sink} has an app token with which Slack opens no connection: {error.error}.",
        why="Messages arrive and their buttons do nothing: Socket Mode hears them by this token.",
        fix=f"Write an app-level token (xapp-...) with the scope connections:write into the app_token_file of"
        f" [sinks.{sink}], and switch Socket Mode on in the Slack app; the file is read anew by itself.",
    )


def _token_invalid(sink: str, error: str) -> Problem:
    return Problem(
        slug="slack-token-invalid",
        sentence=f"The sink {sink} has a token that Slack refuses: {error}.",
        why="Nothing can be sent. Incidents wait in the outbox, and are sent when a token works.",
        fix=f"Write the bot token of the app into the token_file of [sinks.{sink}]; it is read anew at once.",
    )


def scope_problems(sink: str, scopes: frozenset[str] | None, *, private: bool) -> Iterator[Problem]:
    """The scopes that are missing; nothing where Slack did not say which there are."""
    history = "groups:history" if private else "channels:history"
    listing = "groups:read" if private else "channels:read"
    needed = {
        "chat:write": "nothing can be sent",
        history: "after a crash or time-out a message may come twice, marked as a possible duplicate",
        listing: "the channel cannot be checked",
    }
    for scope, effect in needed.items():
        if scopes is not None and scope not in scopes:
            yield _scope_missing(sink, scope, effect)


def _scope_missing(sink: str, scope: str, effect: str) -> Problem:
    return Problem(
        slug="slack-scope-missing",
        sentence=f"The sink {sink} has a token without the scope {scope}: {effect}.",
        why="chat:write posts and edits; channels:history (groups:history in a private channel) finds what was sent"
        " before a crash; channels:read (groups:read) finds the channel by its name.",
        fix=f"Add {scope} under OAuth & Permissions of the Slack app, and reinstall it to the workspace.",
    )


def channel_problems(
    sink: str, channel: Mapping[str, Any] | None, named: str, scopes: frozenset[str] | None
) -> Iterator[Problem]:
    """What is wrong with a channel that was looked for."""
    if channel is None:
        yield Problem(
            slug="slack-channel-missing",
            sentence=f"The sink {sink} finds no channel {named} that the bot can see.",
            why="The name is wrong, or the channel is private and the bot was not invited.",
            fix=f"Write the channel's name or id into [sinks.{sink}], and invite the bot there: /invite.",
        )
        return
    if channel.get("is_archived"):
        yield Problem(
            slug="slack-channel-archived",
            sentence=f"The channel {named} of the sink {sink} is archived.",
            why="Nobody can write there, and nobody reads it.",
            fix=f"Unarchive it, or name another channel in [sinks.{sink}].",
        )
    if channel.get("is_member") is False:
        public = scopes is not None and "chat:write.public" in scopes
        effect = "it can write there but not read what it wrote" if public else "it cannot write there"
        yield Problem(
            slug="slack-not-in-channel",
            sentence=f"The bot of the sink {sink} is not a member of {named}: {effect}.",
            why="Slack lets an app write, and look for what it wrote, only where it is a member.",
            fix="Invite the bot in the channel: /invite, and its name.",
        )
