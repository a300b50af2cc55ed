"""Slack's end of Socket Mode on loopback: a WebSocket server that can go deaf, hang up, or ask to leave."""

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
from typing import Any, Self

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class SlackSocket:
    """`connections` counts those that were made; `acknowledged` has the ids of envelopes that were."""

    def __init__(self, *, greets: bool = True) -> None:
        self.greets = greets
        self._deaf: socket.socket | None = None
        self.connections = 0
        self.acknowledged: list[str] = []
        self.answers: dict[str, Any] = {}  # what envelopes were answered with, by id
        self._present: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/link"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="slack-socket", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.close()
        self.hang_up()

    def push(self, payload: object, envelope_id: str, kind: str = "interactive") -> None:
        self.push_text(json.dumps({"type": kind, "envelope_id": envelope_id, "payload": payload}))

    def push_text(self, text: str) -> None:
        if self._present is not None:
            self._present.sendall(_frame(_TEXT, text.encode()))

    def go_deaf(self) -> None:
        """The present connection takes what comes, and says nothing more; it is not closed."""
        self._deaf = self._present

    def hang_up(self) -> None:
        """Without a word."""
        if self._present is not None:
            with contextlib.suppress(OSError):
                self._present.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            stream = connection.makefile("rb")
            key = b""
            while (line := stream.readline().strip()) != b"":
                if line.lower().startswith(b"sec-websocket-key:"):
                    key = line.split(b":", 1)[1].strip()
            accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
            if self.greets:
                connection.sendall(_frame(_TEXT, b'{"type": "hello", "num_connections": 1}'))
            self._present = connection
            self.connections += 1
            while True:
                opcode, data = _read(stream)
                if opcode == _CLOSE:
                    return
                self._heard(connection, opcode, data)

    def _heard(self, connection: socket.socket, opcode: int, data: bytes) -> None:
        if connection is self._deaf:
            return
        if opcode == _PING:
            connection.sendall(_frame(_PONG, data))
        elif opcode == _TEXT:
            said = json.loads(data)
            self.answers[said["envelope_id"]] = said.get("payload")
            self.acknowledged.append(said["envelope_id"])


def _frame(opcode: int, data: bytes) -> bytes:
    short = len(data) < 126
    length = bytes([len(data)]) if short else bytes([126]) + struct.pack("!H", len(data))
    return bytes([0x80 | opcode]) + length + data


def _read(stream: Any) -> tuple[int, bytes]:
    first, second = _exactly(stream, 2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", _exactly(stream, 2))
    mask = _exactly(stream, 4)
    data = _exactly(stream, size)
    return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


def _exactly(stream: Any, size: int) -> bytes:
    found: bytes = stream.read(size)
    if len(found) < size:
        raise ValueError("the other side has left")
    return found


def press(
    block: dict[str, Any],
    action_id: str,
    *,
    user: str = "U00000001",
    name: str = "ana",
    choice: str = "",
    stamp: str = "1700000000.000100",
    channel: str = "C00000001",
    trigger: str = "",
) -> dict[str, Any]:
    """What Slack sends when `user` presses that element of an actions block."""
    element = next(one for one in block["elements"] if one["action_id"] == action_id)
    pressed = {
        "action_id": action_id,
        "block_id": block["block_id"],
        "action_ts": stamp,
        "type": element["type"],
    }
    if choice:
        pressed["selected_option"] = next(one for one in element["options"] if one["value"] == choice)
    else:
        pressed["value"] = element["value"]
    return {
        "type": "block_actions",
        "trigger_id": trigger,
        "user": {"id": user, "username": name},
        "channel": {"id": channel},
        "message": {"ts": "1.1"},
        "actions": [pressed],
    }


def submit(
    view: dict[str, Any], filled: dict[str, str], *, user: str = "U00000001", name: str = "ana"
) -> dict[str, Any]:
    """What Slack sends when `user` sends the form with these blocks filled in; the others are as they were shown."""
    values = {one["block_id"]: {"value": _left(one["element"])} for one in view["blocks"]}
    for block_id, text in filled.items():
        element = next(one["element"] for one in view["blocks"] if one["block_id"] == block_id)
        values[block_id] = {"value": _filled(element, text)}
    sent = {**view, "state": {"values": values}}
    return {"type": "view_submission", "user": {"id": user, "username": name}, "view": sent}


def _left(element: dict[str, Any]) -> dict[str, Any]:
    if element["type"] == "static_select":
        return {"type": element["type"], "selected_option": element.get("initial_option")}
    return {"type": element["type"], "value": element.get("initial_value")}


def _filled(element: dict[str, Any], text: str) -> dict[str, Any]:
    if element["type"] == "static_select":
        chosen = next(one for one in element["options"] if one["value"] == text)
        return {"type": element["type"], "selected_option": chosen}
    return {"type": element["type"], "value": text or None}


def actions_of(message: dict[str, Any]) -> dict[str, Any]:
    """The actions block of a message; an empty one where there is none."""
    found = [block for block in message["blocks"] if block["type"] == "actions"]
    return found[0] if found else {"elements": []}
