"""Hears the buttons of one Slack app, by Socket Mode and by HTTP; both end in one queue, and one thread does them."""

import threading
from collections.abc import Callable, Mapping
from queue import Empty, Full, Queue
from typing import Any

import structlog

from alerts.sinks._secret import SecretFile
from alerts.sinks.slack.api import SlackApi
from alerts.sinks.slack.custom import Opening, Wrong, opening_in, submitted_in
from alerts.sinks.slack.errors import RefusedError
from alerts.sinks.slack.pressing import Press, press_in
from alerts.sinks.slack.signature import payload_in, verify
from alerts.sinks.slack.socket_mode import Socket
from alerts.sinks.slack.text import mrkdwn
from pgvigil.model.action import FEEDBACK, Action, Outcome, Result
from pgvigil.model.delivery import DeliveryError
from pgvigil.model.moment import Moment
from pgvigil.receiver import NotGenuineError

log = structlog.get_logger(__name__)

_MOST_WAITING = 100  # presses; Slack sends again what is not taken
_TURN_S = 0.5
_NOT_OPENED = "The form could not be opened, and nothing was changed. Choose it again."
_FAILED = "Nothing was changed: pgvigil could not do it. Press again in a moment."


class SlackReceiver:
    """See `pgvigil.receiver.Receiver`. Whoever presses hears what the message cannot show: who was first, why not, thanks."""

    def __init__(
        self,
        name: str,
        api: SlackApi,
        now: Callable[[], Moment],
        *,
        socket: Socket | None = None,
        secret: SecretFile | None = None,
    ) -> None:
        self._name = name
        self._api = api
        self._now = now
        self._socket = socket
        self._secret = secret
        self._waiting: Queue[Press | Opening] = Queue(_MOST_WAITING)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def age_s(self) -> float:
        return 0.0 if self._socket is None else self._socket.age_s

    def start(self, act: Callable[[Action], Outcome]) -> None:
        works = [lambda: self._work(act)]
        if self._socket is not None:
            hears = self._socket
            works.append(lambda: hears.run(self._hear))
        for work in works:
            thread = threading.Thread(target=work, name=f"pgvigil-receiver-{self._name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, within_s: float) -> None:
        self._stopping.set()
        if self._socket is not None:
            self._socket.stop()
        for thread in self._threads:
            thread.join(within_s / len(self._threads))

    def take(self, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any] | None:
        if self._secret is None:
            raise NotGenuineError("this sink hears nothing by HTTP: it has no signing_secret_file")
        now = self._now().utc
        try:
            verify(self._secret.value, headers, body, now)
        except NotGenuineError:
            if not self._secret.renewed():
                raise
            verify(self._secret.value, headers, body, now)
        return self._hear(payload_in(body))

    def _hear(self, payload: object) -> Mapping[str, Any] | None:
        """Takes it, and says what whoever sent it is to be answered. Raises NotGenuineError, BlockingIOError."""
        now = self._now().utc
        heard = opening_in(payload) or submitted_in(payload, now) or press_in(payload, now)
        if isinstance(heard, Wrong):
            return heard.answer
        if heard is not None:
            try:
                self._waiting.put_nowait(heard)
            except Full as error:
                raise BlockingIOError from error
        return None

    def _work(self, act: Callable[[Action], Outcome]) -> None:
        """Until stopped, and then what was taken: Slack does not send it again."""
        while True:
            try:
                press = self._waiting.get(timeout=_TURN_S)
            except Empty:
                if self._stopping.is_set():
                    return
            else:
                if isinstance(press, Opening):
                    self._open(press)
                else:
                    self._do(press, act)

    def _do(self, press: Press, act: Callable[[Action], Outcome]) -> None:
        try:
            outcome = act(press.action)
        except Exception as error:  # the sink's boundary
            log.exception("press_failed", sink=self._name, error=type(error).__name__)
            self._answer(press.channel, press.thread, press.action.actor.id, _FAILED)
            return
        if outcome.result is not Result.DONE or press.action.kind in FEEDBACK:
            self._answer(press.channel, press.thread, press.action.actor.id, outcome.sentence)

    def _open(self, wanted: Opening) -> None:
        try:
            self._api.call("views.open", {"trigger_id": wanted.trigger, "view": wanted.view})
        except (DeliveryError, RefusedError) as error:
            log.warning("form_not_opened", sink=self._name, error=str(error))
            self._answer(wanted.channel, wanted.thread, wanted.user, _NOT_OPENED)

    def _answer(self, channel: str, thread: str, user: str, text: str) -> None:
        """For the eyes of whoever pressed. That it cannot be said changes nothing of what was done."""
        to = {"channel": channel, "user": user, "text": mrkdwn(text, 500)}
        if thread:
            to["thread_ts"] = thread
        try:
            self._api.call("chat.postEphemeral", to)
        except (DeliveryError, RefusedError) as error:
            log.warning("press_not_answered", sink=self._name, error=str(error))
