"""Socket Mode: one WebSocket to Slack, opened by us, that is built anew whenever it may be deaf.

slack-sdk's connection speaks the protocol. Its clients reconnect by themselves, and stay connected and deaf
(python-slack-sdk#1379, #1446, #1462, #1701): they judge silence by the last pong, and one that never came is no silence
to them. Here a connection on which not a byte came for `deaf_s`, although we asked for one, is given up.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import structlog
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.builtin.connection import Connection, ConnectionState

from alerts.sinks.slack.api import quiet_logger
from alerts.sinks.slack.errors import RefusedError
from pgvigil.model.delivery import DeliveryError
from pgvigil.receiver import NotGenuineError

log = structlog.get_logger(__name__)

# Takes a payload, so that Slack does not send it again, and says what Slack is to be answered with it, if anything.
# Raises NotGenuineError; BlockingIOError where it is not taken.
Hear = Callable[[object], Mapping[str, Any] | None]

_TURN_S = 0.2
_READER_S = 4.0  # longer than its reads wait


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """`ping_s` is how often we ask for a sign of life, `deaf_s` after which silence the connection is given up."""

    ping_s: float = 10.0
    deaf_s: float = 30.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    settled_s: float = 60.0  # a connection that lasted so long was a good one


class _Heard:
    """A socket that notes when it last heard something, and says so when the other side has closed."""

    def __init__(self, wrapped: socket.socket) -> None:
        self._wrapped = wrapped
        self.at_mono_s = time.monotonic()

    def recv(self, size: int) -> bytes:
        """Raises ConnectionResetError at the end: the SDK would read nothing, over and over."""
        received = self._wrapped.recv(size)
        if not received:
            raise ConnectionResetError("closed by Slack")
        self.at_mono_s = time.monotonic()
        return received

    def send(self, frame: bytes) -> int:
        self._wrapped.sendall(frame)
        return len(frame)

    def close(self) -> None:
        self._wrapped.close()

    def wake(self) -> None:
        """A read that waits ends."""
        try:
            self._wrapped.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is closed already
            return


class Socket:
    """`open_url` asks Slack for the address of a connection."""

    def __init__(self, name: str, open_url: Callable[[], str], limits: SocketLimits | None = None) -> None:
        self._name = name
        self._open_url = open_url
        self._limits = limits or SocketLimits()
        self._stopping = threading.Event()
        self._turned_mono_s = 0.0

    @property
    def age_s(self) -> float:
        """How long ago the watch last turned; 0 while it does not run."""
        return time.monotonic() - self._turned_mono_s if self._turned_mono_s else 0.0

    def stop(self) -> None:
        self._stopping.set()

    def run(self, hear: Hear) -> None:
        """Until stopped. `hear` gets each payload; see `Hear`."""
        wait_s = self._limits.first_wait_s
        while not self._stopping.is_set():
            began_mono_s = self._turned_mono_s = time.monotonic()
            try:
                why = self._listen(hear)
            except (DeliveryError, RefusedError, OSError, SlackClientError) as error:
                why = str(error) or type(error).__name__
            except (
                Exception
            ) as error:  # the sink's boundary: whatever the SDK throws, there is a next connection
                log.exception("slack_socket_bug", sink=self._name)
                why = type(error).__name__
            if self._stopping.is_set():
                break
            if time.monotonic() - began_mono_s >= self._limits.settled_s:
                wait_s = self._limits.first_wait_s
            log.warning("slack_socket_rebuilt", sink=self._name, why=why, in_s=wait_s)
            self._wait(wait_s)
            wait_s = min(2 * wait_s, self._limits.longest_wait_s)
        self._turned_mono_s = 0.0

    def _wait(self, wait_s: float) -> None:
        until_mono_s = time.monotonic() + wait_s
        while time.monotonic() < until_mono_s and not self._stopping.wait(_TURN_S):
            self._turned_mono_s = time.monotonic()

    def _listen(self, hear: Hear) -> str:
        """Hears until the connection is no good, and says why."""
        session = _Session(self._open_url(), self._name, hear)
        began_mono_s = pinged_mono_s = time.monotonic()
        try:
            while not self._stopping.wait(_TURN_S):
                now_s = self._turned_mono_s = time.monotonic()
                if session.over:
                    return session.over
                if now_s - session.heard_mono_s > self._limits.deaf_s:
                    return f"it heard nothing for {self._limits.deaf_s:g} s"
                if not session.greeted and now_s - began_mono_s > self._limits.deaf_s:
                    return "Slack did not say hello"
                if now_s - pinged_mono_s >= self._limits.ping_s:
                    pinged_mono_s = now_s
                    session.ping()
            return "stopping"
        finally:
            session.close()


class _Session:
    """One connection, read by a thread of its own. Raises OSError when it cannot be had."""

    def __init__(self, url: str, name: str, hear: Hear) -> None:
        self._name = name
        self._hear = hear
        self._why = ""
        self.greeted = False  # one that answers pings and was never greeted gets no presses
        self._state = ConnectionState()  # type: ignore[no-untyped-call] # slack-sdk leaves it untyped
        self._connection = Connection(
            url,
            quiet_logger(),
            proxy=_proxy(url),
            on_message_listener=self._message,
            on_error_listener=self._failed,
            on_close_listener=lambda _code, _reason: None,
        )
        self._connection.connect()
        made: Any = self._connection.sock
        if made is None:
            raise ConnectionError(f"no connection: {self._why or 'refused'}")
        self._heard = _Heard(made)
        wrapped: Any = self._heard
        self._connection.sock = wrapped
        self._reader = threading.Thread(
            target=self._connection.run_until_completion,
            args=(self._state,),
            name=f"pgvigil-socket-{name}",
            daemon=True,
        )
        self._reader.start()

    @property
    def over(self) -> str:
        """Why it is, or ""."""
        if self._why:
            return self._why
        return "" if self._connection.is_active() and not self._state.terminated else "closed by Slack"

    @property
    def heard_mono_s(self) -> float:
        return self._heard.at_mono_s

    def ping(self) -> None:
        self._connection.ping("pgvigil")

    def close(self) -> None:
        self._state.terminated = True
        self._heard.wake()
        self._reader.join(
            _READER_S
        )  # it closes the connection itself; two that do so at once trip over each other
        if not self._reader.is_alive():
            self._connection.disconnect()

    def _failed(self, error: Exception) -> None:
        self._why = self._why or f"{type(error).__name__}: {error}"

    def _message(self, text: str) -> None:
        """In the reader's thread, which must not end. An envelope is acknowledged as soon as it is taken (3 s)."""
        try:
            envelope = json.loads(text)
            kind, key = envelope.get("type"), envelope.get("envelope_id")
            if kind == "hello":
                self.greeted = True
            elif kind == "disconnect":
                self._why = "Slack asked for another connection"
            elif isinstance(key, str):
                answer = self._hear(envelope.get("payload")) if kind == "interactive" else None
                payload = {} if answer is None else {"payload": dict(answer)}
                self._connection.send(json.dumps({"envelope_id": key} | payload))
        except BlockingIOError:  # not acknowledged: Slack sends it again
            log.warning("slack_envelope_left", sink=self._name)
        except (ValueError, AttributeError, RecursionError, NotGenuineError) as error:
            log.warning("slack_envelope_refused", sink=self._name, error=type(error).__name__)
        except SlackClientError as error:  # Slack sends it again, on the next connection
            self._failed(error)


def _proxy(url: str) -> str | None:
    host = urlsplit(url).hostname or ""
    return None if proxy_bypass(host) else getproxies().get("https")
