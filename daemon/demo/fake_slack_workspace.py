"""The fake's workspace: channels, messages and what each Web API method answers. No sockets here."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.demo.fake_slack_validate import UPDATE_TEXT_LIMIT, SlackFailure, check_content
from daemon.demo.fake_slack_views import TRIGGER_S, check_view

Arguments = Mapping[str, Any]
Message = dict[str, Any]

ALL_SCOPES = frozenset({"chat:write", "channels:read", "groups:read", "channels:history", "groups:history"})


@dataclass
class Channel:
    id: str
    name: str
    is_member: bool = True
    is_archived: bool = False
    is_private: bool = False
    messages: list[Message] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """As the conversations methods show a channel."""
        return {
            "id": self.id,
            "name": self.name,
            "is_channel": True,
            "is_member": self.is_member,
            "is_archived": self.is_archived,
            "is_private": self.is_private,
        }


@dataclass
class Workspace:
    """All state. `clock` gives seconds since 1970; a test may move it to play a skewed Slack."""

    clock: Callable[[], float]
    scopes: frozenset[str] = ALL_SCOPES
    channels: list[Channel] = field(default_factory=list)
    page_size: int = 100  # upper bound of one page, as Slack may give fewer than asked for
    views: list[dict[str, Any]] = field(default_factory=list)  # the forms that were opened
    _triggers: dict[str, float] = field(default_factory=dict)  # until when each is good
    _last_ts: float = 0.0

    def add_channel(self, name: str, *, is_member: bool = True, is_private: bool = False) -> Channel:
        channel = Channel(
            id=f"C{len(self.channels) + 1:08d}",
            name=name.lstrip("#"),
            is_member=is_member,
            is_private=is_private,
        )
        self.channels.append(channel)
        return channel

    def channel(self, name_or_id: str) -> Channel:
        wanted = str(name_or_id)
        for channel in self.channels:
            if wanted == channel.id or wanted.lstrip("#") == channel.name:
                return channel
        raise SlackFailure("channel_not_found")

    def next_ts(self) -> str:
        """Unique and rising, whatever the clock does."""
        self._last_ts = max(round(self.clock(), 6), self._last_ts + 0.0001)
        return f"{self._last_ts:.6f}"

    def trigger(self) -> str:
        """Somebody presses something: good for opening one form, soon."""
        made = f"13345224609.738474920.{self.next_ts()}"
        self._triggers[made] = self.clock() + TRIGGER_S
        return made

    def open_view(self, trigger: str, view: Any) -> dict[str, Any]:
        """Raises SlackFailure for a trigger that is used or late."""
        good_until = self._triggers.pop(trigger, None)
        if good_until is None:
            raise SlackFailure("invalid_trigger_id" if "." not in trigger else "exchanged_trigger_id")
        if self.clock() > good_until:
            raise SlackFailure("expired_trigger_id")
        check_view(view)
        self.views.append({**view, "id": f"V{len(self.views) + 1:08d}"})
        return self.views[-1]

    def find(self, channel: Channel, ts: str) -> Message | None:
        return next((message for message in channel.messages if message["ts"] == ts), None)

    def post(self, channel: Channel, arguments: Arguments) -> Message:
        """Adds a message that has passed every check."""
        parent = arguments.get("thread_ts")
        message: Message = {
            "type": "message",
            "ts": self.next_ts(),
            "bot_id": "B00000001",
            "text": arguments.get("text") or "",
            "blocks": list(arguments.get("blocks") or ()),
            "metadata": arguments.get("metadata") or {},
        }
        if parent:
            message["thread_ts"] = parent
            if _true(arguments.get("reply_broadcast")):
                message["subtype"] = "thread_broadcast"
        channel.messages.append(message)
        return message

    def answer(self, method: str, arguments: Arguments) -> dict[str, Any]:
        """What Slack answers, without `ok`; raises SlackFailure for `ok: false`."""
        known = METHODS.get(method)
        if known is None:
            raise SlackFailure("unknown_method", req_method=method)
        return known(self, arguments)

    def require(self, *any_of: str) -> None:
        if not self.scopes.intersection(any_of):
            raise SlackFailure("missing_scope", needed=any_of[0], provided=",".join(sorted(self.scopes)))


def _true(value: Any) -> bool:
    return value in (True, 1, "1", "true", "True")


def _auth_test(_space: Workspace, _arguments: Arguments) -> dict[str, Any]:
    return {
        "url": "https://fake.slack.com/",
        "team": "fake",
        "team_id": "T00000001",
        "user": "pgvigil",
        "user_id": "U00000001",
        "bot_id": "B00000001",
    }


def _page(space: Workspace, items: list[Any], arguments: Arguments) -> tuple[list[Any], dict[str, Any]]:
    start = _number(arguments.get("cursor") or 0, "invalid_cursor")
    size = min(_number(arguments.get("limit") or 100, "invalid_limit"), space.page_size)
    end = start + size
    cursor = str(end) if end < len(items) else ""
    return items[start:end], {"response_metadata": {"next_cursor": cursor}, "has_more": bool(cursor)}


def _number(value: Any, error: str) -> int:
    if not re.fullmatch(r"\d+", str(value)):
        raise SlackFailure(error)
    return int(value)


def _list(space: Workspace, arguments: Arguments) -> dict[str, Any]:
    kinds = str(arguments.get("types") or "public_channel").split(",")
    if "public_channel" in kinds:
        space.require("channels:read")
    if "private_channel" in kinds:
        space.require("groups:read")
    hide_archived = _true(arguments.get("exclude_archived"))
    found = [
        channel.shown()
        for channel in space.channels
        if ("private_channel" if channel.is_private else "public_channel") in kinds
        and (channel.is_member or not channel.is_private)
        and not (hide_archived and channel.is_archived)
    ]
    page, more = _page(space, found, arguments)
    return {"channels": page} | more


def _by_id(space: Workspace, arguments: Arguments) -> Channel:
    """The conversations methods take ids only."""
    wanted = str(arguments.get("channel"))
    for channel in space.channels:
        if channel.id == wanted and (channel.is_member or not channel.is_private):
            return channel
    raise SlackFailure("channel_not_found")


def _info(space: Workspace, arguments: Arguments) -> dict[str, Any]:
    space.require("channels:read", "groups:read")
    return {"channel": _by_id(space, arguments).shown()}


def _readable(space: Workspace, arguments: Arguments) -> Channel:
    channel = _by_id(space, arguments)
    space.require("groups:history" if channel.is_private else "channels:history")
    if not channel.is_member:
        raise SlackFailure("not_in_channel")
    return channel


def _within(messages: Iterator[Message], arguments: Arguments) -> list[Message]:
    oldest, latest = float(arguments.get("oldest") or 0), float(arguments.get("latest") or "inf")
    with_metadata = _true(arguments.get("include_all_metadata"))
    return [
        message if with_metadata else {key: value for key, value in message.items() if key != "metadata"}
        for message in messages
        if oldest < float(message["ts"]) < latest
    ]


def _history(space: Workspace, arguments: Arguments) -> dict[str, Any]:
    channel = _readable(space, arguments)
    roots = (m for m in reversed(channel.messages) if "thread_ts" not in m or "subtype" in m)
    page, more = _page(space, _within(roots, arguments), arguments)
    return {"messages": page} | more


def _replies(space: Workspace, arguments: Arguments) -> dict[str, Any]:
    channel, root = _readable(space, arguments), str(arguments.get("ts"))
    if space.find(channel, root) is None:
        raise SlackFailure("thread_not_found")
    thread = (m for m in channel.messages if m["ts"] == root or m.get("thread_ts") == root)
    page, more = _page(space, _within(thread, arguments), arguments)
    return {"messages": page} | more


def _writable(space: Workspace, arguments: Arguments) -> Channel:
    space.require("chat:write")
    channel = space.channel(str(arguments.get("channel")))
    if channel.is_private and not channel.is_member:
        raise SlackFailure("channel_not_found")
    if not channel.is_member and "chat:write.public" not in space.scopes:
        raise SlackFailure("not_in_channel")
    if channel.is_archived:
        raise SlackFailure("is_archived")
    return channel


def _post_message(space: Workspace, arguments: Arguments) -> dict[str, Any]:
    channel = _writable(space, arguments)
    check_content(arguments)
    parent = arguments.get("thread_ts")
    if parent:
        _check_parent(space.find(channel, str(parent)))
    message = space.post(channel, arguments)
    return {"channel": channel.id, "ts": message["ts"], "message": message}


def _post_ephemeral(space: Workspace, arguments: Arguments) -> dict[str, Any]:
    """Nothing of it is in the channel: one person reads it, once."""
    _writable(space, arguments)
    if not str(arguments.get("user") or "").startswith(("U", "W")):
        raise SlackFailure("user_not_in_channel")
    check_content(arguments)
    return {"message_ts": space.next_ts()}


def _check_parent(parent: Message | None) -> None:
    """Threads have one level: Slack asks for the parent's ts, never a reply's."""
    if parent is None:
        raise SlackFailure("thread_not_found")
    if "thread_ts" in parent:
        raise SlackFailure("cannot_reply_to_message")


def _update(space: Workspace, arguments: Arguments) -> dict[str, Any]:
    channel = _by_id(space, arguments)
    _writable(space, arguments)
    message = space.find(channel, str(arguments.get("ts")))
    if message is None:
        raise SlackFailure("message_not_found")
    if message["bot_id"] != "B00000001":
        raise SlackFailure("cant_update_message")
    check_content(arguments, text_limit=UPDATE_TEXT_LIMIT)
    # Slack keeps what an update leaves out; an empty list removes blocks.
    message.update({key: arguments[key] for key in ("text", "blocks", "metadata") if key in arguments})
    message["edited"] = {"ts": f"{space.clock():.6f}"}
    return {"channel": channel.id, "ts": message["ts"], "text": message["text"], "message": message}


def _delete(space: Workspace, arguments: Arguments) -> dict[str, Any]:
    channel = _by_id(space, arguments)
    message = space.find(channel, str(arguments.get("ts")))
    if message is None:
        raise SlackFailure("message_not_found")
    channel.messages.remove(message)
    return {"channel": channel.id, "ts": message["ts"]}


def _open_view(space: Workspace, arguments: Arguments) -> dict[str, Any]:
    return {"view": space.open_view(str(arguments.get("trigger_id") or ""), arguments.get("view"))}


METHODS: dict[str, Callable[[Workspace, Arguments], dict[str, Any]]] = {
    "auth.test": _auth_test,
    "conversations.list": _list,
    "conversations.info": _info,
    "conversations.history": _history,
    "conversations.replies": _replies,
    "chat.postMessage": _post_message,
    "chat.postEphemeral": _post_ephemeral,
    "chat.update": _update,
    "chat.delete": _delete,
    "views.open": _open_view,
}
