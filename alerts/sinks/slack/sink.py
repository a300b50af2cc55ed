"""The sink with a bot token: posts, edits in place, replies in the thread, finds what it sent."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from alerts.sinks.slack.api import SlackApi
from alerts.sinks.slack.digest import LINES, digest_metadata, render_digest
from alerts.sinks.slack.errors import CHANNEL, RefusedError
from alerts.sinks.slack.lookup import find_message, recall_message
from alerts.sinks.slack.message import Tier, metadata_of, render
from alerts.sinks.slack.setup import (
    app_token_problem,
    channel_problems,
    find_channel,
    looks_like_id,
    refused,
    scope_problems,
)
from alerts.sinks.slack.tiers import TierMemory
from pgvigil.model.delivery import Act, ActKind, Delivery, DeliveryError, DeliveryFailure, Recalled, Told
from pgvigil.model.digest import Digest
from pgvigil.model.incident import Incident
from pgvigil.problems import Problem

_ALWAYS = {"unfurl_links": False, "unfurl_media": False}


class SlackSink:
    """A handle is `{"channel": id, "ts": stamp}` of the root message, also after a reply.

    A root may stand in the thread of a digest. Slack's threads have one level, so its replies stand there too.
    """

    can_edit = True
    can_reply = True
    digest_lines = LINES

    def __init__(
        self,
        name: str,
        api: SlackApi,
        channel: str,
        public_url: str,
        clock: Callable[[], float],
        *,
        answers: bool = False,
        app: SlackApi | None = None,
    ) -> None:
        self._name = name
        self._api = api
        self._named = channel
        self._channel_id = channel if looks_like_id(channel) else None
        self._public_url = public_url
        self._answers = answers  # whether somebody hears the buttons
        self._app = app  # with the token of Socket Mode
        self._workspace_url = ""
        self._tiers = TierMemory(clock)

    @property
    def fallbacks(self) -> Mapping[str, int]:
        """How many messages went out in a simpler form, because Slack refused the full one."""
        return self._tiers.fallbacks

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,
    ) -> Mapping[str, str]:
        """See `Sink.perform`. A refusal creates nothing, so the same act may be tried in a simpler form at once."""
        address = self._address(act, delivery)

        def attempt(tier: Tier) -> Mapping[str, Any]:
            message = render(
                act,
                incident,
                delivery,
                public_url=self._public_url,
                tier=tier,
                possible_duplicate_of=possible_duplicate_of,
                answers=self._answers,
            )
            if act.creates and not message["blocks"]:
                del message["blocks"]  # in an edit the empty list removes those that are there
            method = "chat.postMessage" if act.creates else "chat.update"
            return self._api.call(method, address | message, creates=act.creates)

        try:
            answer = self._tiers.send(incident.id, attempt)
        except RefusedError as refused:
            raise self._failure(refused, address, creates=act.creates) from None
        return self._handle(act, delivery, answer)

    def find(self, act: Act, incident: Incident, delivery: Delivery) -> Mapping[str, str] | None:
        """See `Sink.find`."""
        thread = _thread_of(act, delivery)
        found = self._find(metadata_of(act, incident), thread, delivery.act_at)
        return dict(delivery.remote) if found and act.kind is ActKind.REPLY else found

    def recall(self, act: Act, incident: Incident, delivery: Delivery) -> Recalled | None:
        """See `Sink.recall`."""
        payload = metadata_of(act, incident)["event_payload"]
        wanted = {key: payload[key] for key in ("rule", "fault")}
        try:
            channel = delivery.remote.get("channel") or self._resolved()
            return recall_message(self._api.call, act, incident, delivery, wanted, channel=channel)
        except RefusedError as refused:
            raise refused.as_delivery(creates=False) from None

    def tell(self, digest: Digest, *, possible_duplicate_of: datetime | None = None) -> Mapping[str, str]:
        """See `Sink.tell`."""
        address = {"channel": self._channel_id or self._named} | _ALWAYS

        def post(message: Mapping[str, Any]) -> Mapping[str, Any]:
            given = {key: value for key, value in message.items() if value}
            return self._api.call("chat.postMessage", address | given, creates=True)

        try:
            answer = self._digested(digest, post, possible_duplicate_of)
        except RefusedError as refused:
            raise self._failure(refused, address) from None
        return self._posted(answer)

    def retell(self, digest: Digest, remote: Mapping[str, str]) -> None:
        """See `Sink.retell`."""

        def edit(message: Mapping[str, Any]) -> Mapping[str, Any]:
            return self._api.call("chat.update", {**remote, **message}, creates=False)

        try:
            self._digested(digest, edit)
        except RefusedError as refused:
            raise self._failure(refused, remote, creates=False) from None

    def _digested(
        self,
        digest: Digest,
        send: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        possible_duplicate_of: datetime | None = None,
    ) -> Mapping[str, Any]:
        """What Slack answers to `send`, in the fullest form that it takes."""

        def attempt(tier: Tier) -> Mapping[str, Any]:
            return send(
                render_digest(
                    digest,
                    public_url=self._public_url,
                    workspace_url=self._workspace_url,
                    tier=tier,
                    possible_duplicate_of=possible_duplicate_of,
                )
            )

        return self._tiers.send(-digest.id, attempt)

    def find_digest(self, digest: Digest, told_at: datetime) -> Mapping[str, str] | None:
        """See `Sink.find_digest`."""
        return self._find(digest_metadata(digest), {}, told_at)

    def check(self) -> tuple[Problem, ...]:
        """See `Sink.check`. Resolves the channel's name, so that renaming it changes nothing while we run."""
        try:
            self._workspace_url = str(self._api.call("auth.test", {}).get("url", ""))
            channel = self._channel()
        except RefusedError as error:
            scopes = tuple(scope_problems(self._name, self._api.scopes, private=False))
            return scopes if scopes and error.error == "missing_scope" else (refused(self._name, error),)
        if channel is not None:
            self._channel_id = str(channel["id"])
        private = bool(channel and channel.get("is_private"))
        return (
            *scope_problems(self._name, self._api.scopes, private=private),
            *channel_problems(self._name, channel, self._named, self._api.scopes),
            *self._app_problems(),
        )

    def _app_problems(self) -> Iterator[Problem]:
        """Asking for a connection makes none. That Slack cannot be asked just now says nothing of the token."""
        if self._app is None:
            return
        try:
            self._app.call("apps.connections.open", {})
        except RefusedError as error:
            yield app_token_problem(self._name, error)
        except DeliveryError:
            return

    def _channel(self) -> Mapping[str, Any] | None:
        """By its id where that is known: a look through all channels is what Slack has least patience with."""
        known = find_channel(self._api.call, self._channel_id) if self._channel_id else None
        return known or find_channel(self._api.call, self._named)

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _find(
        self, wanted: Mapping[str, Any], thread: Mapping[str, str], since: datetime | None
    ) -> Mapping[str, str] | None:
        try:
            channel = thread["channel"] if thread else self._resolved()
            ts = find_message(self._api.call, wanted, channel=channel, since=since, thread=thread.get("ts"))
        except RefusedError as refused:
            raise refused.as_delivery(creates=False) from None
        return None if ts is None else {"channel": channel, "ts": ts}

    def _address(self, act: Act, delivery: Delivery) -> dict[str, Any]:
        heard = act.told in (Told.STILL, Told.WORSE, Told.REOPENED)
        thread = _thread_of(act, delivery)
        if act.kind is ActKind.POST and not thread:
            return {"channel": self._channel_id or self._named} | _ALWAYS
        if act.kind is ActKind.POST:
            into = {"channel": thread["channel"], "thread_ts": thread["ts"], "reply_broadcast": heard}
            return into | _ALWAYS
        channel, ts = delivery.remote.get("channel"), delivery.remote.get("ts")
        if not channel or not ts:
            raise DeliveryError(DeliveryFailure.GONE, "there is no message to edit or answer")
        if act.kind is ActKind.EDIT:
            return {"channel": channel, "ts": ts}
        return {"channel": channel, "thread_ts": thread["ts"], "reply_broadcast": heard} | _ALWAYS

    def _handle(self, act: Act, delivery: Delivery, answer: Mapping[str, Any]) -> Mapping[str, str]:
        if act.kind is not ActKind.POST:
            return dict(delivery.remote)
        if delivery.thread:
            return {"channel": delivery.thread["channel"], "ts": str(answer["ts"])}
        return self._posted(answer)

    def _posted(self, answer: Mapping[str, Any]) -> Mapping[str, str]:
        self._channel_id = str(answer["channel"])
        return {"channel": self._channel_id, "ts": str(answer["ts"])}

    def _failure(
        self, refused: RefusedError, address: Mapping[str, Any], *, creates: bool = True
    ) -> DeliveryError:
        if refused.error in CHANNEL:
            bound = "ts" in address or "thread_ts" in address  # to a message that is there
            if bound and self._channel_id not in (None, address["channel"]):
                # The message is in a channel of former times; the one that is configured now may be well.
                return DeliveryError(
                    DeliveryFailure.GONE, f"Slack says {refused.error} of the former channel"
                )
            if not looks_like_id(self._named):
                self._channel_id = None  # perhaps another channel has the name now
        return refused.as_delivery(creates=creates)

    def _resolved(self) -> str:
        """The channel's id: history takes no names."""
        if self._channel_id is None:
            channel = find_channel(self._api.call, self._named)
            if channel is None:
                raise RefusedError("channel_not_found")
            self._channel_id = str(channel["id"])
        return self._channel_id


def _thread_of(act: Act, delivery: Delivery) -> Mapping[str, str]:
    """The message under which `act` stands; empty for one that stands in the channel."""
    if delivery.thread or act.kind is ActKind.POST:
        return delivery.thread
    return delivery.remote
