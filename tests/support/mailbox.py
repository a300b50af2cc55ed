"""A mail server on loopback that misbehaves when told to."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from tests.support.serving import in_thread, tls

DROP, HANG, DRIP = "drop", "hang", "drip"


class Mailbox:
    """`faults` by step: what to answer instead, DROP, HANG or DRIP. Steps: connect, ehlo, auth, mail, rcpt, data, end, and
    `rcpt ADDRESS`.
    """

    def __init__(self, context: ssl.SSLContext | None, *, implicit: bool) -> None:
        self.context = context
        self.implicit = implicit
        self.faults: dict[str, str] = {}
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.envelopes: list[tuple[str, tuple[str, ...]]] = []
        self.logins: list[str] = []
        self.password = ""
        self.over = threading.Event()
        self.port = 0

    def serve(self, channel: socketserver.BaseRequestHandler) -> None:
        with suppress(OSError, _Hangup):
            talk = _Conversation(self, channel.request)
            try:
                talk.hold()
            finally:
                talk.close()


class _Hangup(Exception):  # noqa: N818 - not an error
    pass


class _Conversation:
    def __init__(self, box: Mailbox, sock: object) -> None:
        self._box = box
        self._sock = sock
        if box.implicit and box.context is not None:
            self._sock = box.context.wrap_socket(sock, server_side=True)
        self._file = self._sock.makefile("rb")
        self._secure = box.implicit
        self._sender, self._recipients = "", []

    def close(self) -> None:
        self._file.close()
        self._sock.close()

    def hold(self) -> None:
        self._say("connect", "220 ready")
        while line := self._file.readline().decode().strip():
            verb = line.partition(" ")[0].upper()
            if verb == "QUIT":
                self._say("quit", "221 bye")
                return
            getattr(self, f"_{verb.lower()}", self._unknown)(line)

    def _say(self, step: str, usual: str) -> bool:
        answer = self._box.faults.get(step, usual)
        if answer == HANG:
            self._box.over.wait(30)
        while answer == DRIP and not self._box.over.wait(0.05):
            self._sock.sendall(b"2")
        if answer in (DROP, HANG, DRIP):
            raise _Hangup
        self._sock.sendall(f"{answer}\r\n".encode())
        return answer == usual

    def _unknown(self, _line: str) -> None:
        self._say("unknown", "502 no")

    def _ehlo(self, _line: str) -> None:
        offers = ["STARTTLS"] * (self._box.context is not None and not self._secure) + ["AUTH PLAIN"] * bool(
            self._box.password
        )
        self._say("ehlo", "\r\n".join(["250-here", *(f"250-{each}" for each in offers), "250 SIZE"]))

    def _starttls(self, _line: str) -> None:
        self._say("starttls", "220 go")
        assert self._box.context is not None
        self._file.close()
        self._sock = self._box.context.wrap_socket(self._sock, server_side=True)
        self._file = self._sock.makefile("rb")
        self._secure = True

    def _auth(self, line: str) -> None:
        _, name, password = base64.b64decode(line.rsplit(maxsplit=1)[-1]).decode().split("\0")
        self._box.logins.append(f"{name}:{password}")
        self._say("auth", "235 welcome" if password == self._box.password else "535 5.7.8 no")

    def _mail(self, line: str) -> None:
        self._sender, self._recipients = line.partition("<")[2].partition(">")[0], []
        self._say("mail", "250 ok")

    def _rcpt(self, line: str) -> None:
        address = line.partition("<")[2].partition(">")[0]
        if self._say(f"rcpt {address}", self._box.faults.get("rcpt", "250 ok")):
            self._recipients.append(address)

    def _data(self, _line: str) -> None:
        if not self._say("data", "354 go on"):
            return
        lines = list(iter(self._file.readline, b".\r\n"))
        self._box.raw.append(b"".join(lines))
        self._box.mails.append(message_from_bytes(self._box.raw[-1], policy=policy.default))
        self._box.envelopes.append((self._sender, tuple(self._recipients)))
        self._say("end", "250 taken")


@contextmanager
def mailbox(certificate: tuple[Path, Path] | None = None, *, implicit: bool = False) -> Iterator[Mailbox]:
    """Runs until left; with a key and certificate it offers STARTTLS, or speaks TLS from the start."""
    box = Mailbox(None if certificate is None else tls(certificate), implicit=implicit)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            box.serve(self)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    box.port = server.server_address[1]
    with in_thread(server, box.over):
        yield box
