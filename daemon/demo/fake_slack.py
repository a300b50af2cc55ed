"""A Slack that runs on loopback: the Web API and an incoming webhook, with faults on demand.

The demo shows what it holds; tests play every fault of delivery with it. It refuses what Slack refuses
(see `fake_slack_validate`), so a message that it takes is one that Slack takes, as far as is documented.
"""

import copy
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import RLock, Thread
from typing import Any, Self

from daemon.demo.fake_slack_faults import ALWAYS, WEBHOOK, Fault, FaultPlan
from daemon.demo.fake_slack_http import Answer, Request, Server
from daemon.demo.fake_slack_validate import SlackFailure, check_content
from daemon.demo.fake_slack_workspace import ALL_SCOPES, Channel, Message, Workspace

TOKEN = "xoxb-fake-0001"  # noqa: S105 - of a fake
APP_TOKEN = "xapp-fake-0001"  # noqa: S105 - of a fake
_WEBHOOK_PATH = "/services/T00000001/B00000002/fakefakefake"
_CREATING = frozenset({"chat.postMessage", "chat.update", "chat.delete", WEBHOOK})


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came in, and the gist of the answer. Tokens are not kept."""

    at_s: float  # seconds since 1970
    method: str
    arguments: Mapping[str, Any]
    outcome: str  # "ok", Slack's error name, or what fault was played


class FakeSlack:
    """Start it, point a sink at `url` or `webhook_url`, look at `messages()` and `calls`.

    `token` and `scopes` may be changed at any time: a rotated, revoked or weaker token. A stopped fake may be
    started again: same port, same messages, as after an outage.
    """

    def __init__(
        self,
        channels: Iterable[str] = ("db-oncall",),
        *,
        token: str = TOKEN,
        scopes: frozenset[str] = ALL_SCOPES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.token = token
        self.app_token = APP_TOKEN
        self.socket_url = ""  # where Socket Mode is, if somebody plays it
        self.revoked: set[str] = set()
        self.calls: list[Call] = []
        self.workspace = Workspace(clock=clock, scopes=scopes)
        self._listeners: list[Callable[[str, Message], None]] = []
        self._faults = FaultPlan()
        self._lock = RLock()
        self._server: Server | None = None
        self._port = 0
        for name in channels:
            self.workspace.add_channel(name)

    # --- running ------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listens on a free port of 127.0.0.1, or on the same one as before, and keeps proxies out of the way."""
        _loopback_past_proxies()
        self._server = Server(self._port, self._handle)
        self._port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.02,), name="fake-slack", daemon=True).start()
        return self

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stopping.set()
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The `base_url` of a sink."""
        return f"http://127.0.0.1:{self._port}/api/"

    @property
    def webhook_url(self) -> str:
        """An incoming webhook into the first channel."""
        return f"http://127.0.0.1:{self._port}{_WEBHOOK_PATH}"

    # --- what is in it ------------------------------------------------------------------------------------

    def channel(self, name_or_id: str | None = None) -> Channel:
        """A channel, to be renamed, archived or left; the first one without a name."""
        space = self.workspace
        return space.channels[0] if name_or_id is None else space.channel(name_or_id)

    def messages(self, channel: str | None = None) -> tuple[Message, ...]:
        """Copies of a channel's messages, replies among them, oldest first, with their edits."""
        with self._lock:
            return tuple(copy.deepcopy(self.channel(channel).messages))

    def roots(self, channel: str | None = None) -> tuple[Message, ...]:
        return tuple(message for message in self.messages(channel) if "thread_ts" not in message)

    def replies(self, ts: str, channel: str | None = None) -> tuple[Message, ...]:
        return tuple(message for message in self.messages(channel) if message.get("thread_ts") == ts)

    def calls_of(self, method: str) -> tuple[Call, ...]:
        with self._lock:
            return tuple(call for call in self.calls if call.method == method)

    def delete_as_human(self, ts: str, channel: str | None = None) -> None:
        """Someone tidies up."""
        with self._lock:
            held = self.channel(channel).messages
            held[:] = [message for message in held if message["ts"] != ts]

    def on_change(self, listener: Callable[[str, Message], None]) -> None:
        """`listener(what, message)` is called after each "posted", "edited" or "deleted", in the fake's thread."""
        self._listeners.append(listener)

    # --- faults -------------------------------------------------------------------------------------------

    def inject(self, method: str, fault: Fault, times: int = 1) -> None:
        """The next `times` calls of `method` ("*" any, "webhook") meet the fault; `times=ALWAYS` until cleared."""
        self._faults.add(method, fault, times)

    def inject_always(self, method: str, fault: Fault) -> None:
        self.inject(method, fault, ALWAYS)

    def clear(self, method: str | None = None) -> None:
        """Ends the faults of one method, or of all."""
        self._faults.clear(method)

    # --- answering ----------------------------------------------------------------------------------------

    def _handle(self, request: Request) -> Answer:
        method = WEBHOOK if request.path.startswith("/services/") else request.path.removeprefix("/api/")
        fault = self._faults.take(method)
        changed: Message | None = None
        with self._lock:
            if fault is None or fault.accepted:
                answer, outcome, changed = self._answer(method, request)
            else:
                answer, outcome = Answer({"ok": False}), "not accepted"
            if fault is not None:
                answer, outcome = _faulty(fault, answer), f"{outcome}, then {fault}"
            self.calls.append(Call(self.workspace.clock(), method, request.arguments, outcome))
        if changed is not None:
            self._tell(method, changed)
        return answer

    def _answer(self, method: str, request: Request) -> tuple[Answer, str, Message | None]:
        if method == WEBHOOK:
            return self._webhook(request)
        scopes = (("x-oauth-scopes", ",".join(sorted(self.workspace.scopes))),)
        try:
            if method == "apps.connections.open":
                return self._opened(request.token), "ok", None
            self._authorise(request.token)
            body = self.workspace.answer(method, request.arguments)
        except SlackFailure as failure:
            refusal = {"ok": False, "error": failure.error} | failure.extra
            if failure.messages:
                refusal["response_metadata"] = {"messages": list(failure.messages)}
            return Answer(refusal, headers=scopes), failure.error, None
        changed = {"ts": body["ts"]} | body.get("message", {}) if method in _CREATING else None
        return Answer({"ok": True} | copy.deepcopy(body), headers=scopes), "ok", copy.deepcopy(changed)

    def _opened(self, token: str) -> Answer:
        if token != self.app_token or not self.socket_url:
            raise SlackFailure("invalid_auth")
        return Answer({"ok": True, "url": self.socket_url})

    def _authorise(self, token: str) -> None:
        if not token:
            raise SlackFailure("not_authed")
        if token in self.revoked:
            raise SlackFailure("token_revoked")
        if token != self.token:
            raise SlackFailure("invalid_auth")

    def _webhook(self, request: Request) -> tuple[Answer, str, Message | None]:
        """Webhooks answer with words, not with JSON."""
        channel = self.channel()
        try:
            if request.path != _WEBHOOK_PATH or _WEBHOOK_PATH in self.revoked:
                return Answer("no_service", status=404), "no_service", None
            if channel.is_archived:
                return Answer("channel_is_archived", status=410), "channel_is_archived", None
            check_content(request.arguments)
        except SlackFailure as failure:
            return Answer(failure.error, status=400), failure.error, None
        message = self.workspace.post(channel, request.arguments) | {"bot_id": "B00000002"}
        channel.messages[-1] = message
        return Answer("ok"), "ok", copy.deepcopy(message)

    def revoke_webhook(self) -> None:
        self.revoked.add(_WEBHOOK_PATH)

    def _tell(self, method: str, message: Message) -> None:
        what = {"chat.update": "edited", "chat.delete": "deleted"}.get(method, "posted")
        for listener in self._listeners:
            listener(what, message)


def _faulty(fault: Fault, answer: Answer) -> Answer:
    if fault.html:
        page = f"<html><head><title>{fault.status}</title></head><body>upstream error</body></html>"
        return Answer(page, fault.status, fault.headers, fault)
    if fault.error:
        return Answer({"ok": False, "error": fault.error}, fault.status, fault.headers, fault)
    return Answer(answer.body, answer.status, answer.headers, fault)


def _loopback_past_proxies() -> None:
    """Lets this process and its children reach the fake where HTTPS_PROXY is set: slack-sdk, as curl, would
    send loopback through the proxy, which has another loopback.
    """
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "")
        if "127.0.0.1" not in known:
            os.environ[name] = f"{known},127.0.0.1".lstrip(",")
