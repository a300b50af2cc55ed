"""Hands one mail to a server, and says what a failure means.

Up to the command DATA nothing can have been sent. From there on only the server's answer to the full stop tells:
without it the mail may be on its way (RFC 5321, 4.5.3.2.6 and 6.1). 4yz is for later, 5yz is for people.
"""

import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog

from alerts.sinks._deadline import Deadline
from alerts.sinks._failures import reason
from alerts.sinks._secret import SecretFile, once_more
from pgvigil.model.delivery import DeliveryError, DeliveryFailure
from pgvigil.text import one_line

log = structlog.get_logger(__name__)

_WHO = "the mail server"


_STEPS = 6.0  # a mail has more steps than a request: it may take this many times the time-out of one


class _Plain(smtplib.SMTP):
    """The library's, with an end to the whole conversation."""

    def __init__(self, deadline: Deadline, *where: Any, **how: Any) -> None:
        self._deadline = deadline
        super().__init__(*where, **how)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._deadline.connect((host, port), timeout)


class _Secure(smtplib.SMTP_SSL, _Plain):
    """The same with TLS from the beginning: SMTP_SSL wraps the socket of the class behind it."""

    def __init__(self, deadline: Deadline, *where: Any, **how: Any) -> None:
        self._deadline = deadline
        smtplib.SMTP_SSL.__init__(self, *where, **how)


@dataclass(frozen=True, slots=True)
class Account:
    username: str
    password: SecretFile


class Smtp:
    """One connection a mail. `security` is starttls, tls or none."""

    def __init__(
        self,
        host: str,
        port: int,
        security: str,
        context: ssl.SSLContext,
        timeout_s: float,
        account: Account | None,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._context = context
        self._timeout_s = timeout_s
        self._account = account

    def send(self, sender: str, recipients: Sequence[str], mail: bytes) -> None:
        """Raises DeliveryError. Whom the server refuses while it takes others is logged."""
        secret = None if self._account is None else self._account.password
        once_more(lambda: self._once(sender, recipients, mail), secret)

    def _once(self, sender: str, recipients: Sequence[str], mail: bytes) -> None:
        with Deadline(_STEPS * self._timeout_s) as deadline:
            self._hand_over(deadline, sender, recipients, mail)

    def _hand_over(self, deadline: Deadline, sender: str, recipients: Sequence[str], mail: bytes) -> None:
        with self._connection(deadline, sender, recipients) as server:
            try:
                code, said = server.data(mail)
            except smtplib.SMTPDataError as error:
                raise _answered(error.smtp_code, error.smtp_error) from None
            except (OSError, ValueError) as error:
                words = f"no answer from {_WHO} to the mail: {reason(error)}"
                raise DeliveryError(DeliveryFailure.AMBIGUOUS, words) from None
            if code != 250 and deadline.over:
                raise DeliveryError(
                    DeliveryFailure.AMBIGUOUS, f"no answer from {_WHO} to the mail: timed out"
                )
            if code != 250:
                raise _answered(code, said, of_content=True)

    @contextmanager
    def _connection(
        self, deadline: Deadline, sender: str, recipients: Sequence[str]
    ) -> Iterator[smtplib.SMTP]:
        """A server that waits for DATA."""
        server: smtplib.SMTP | None = None
        try:
            try:
                server = self._connected(deadline)
                self._envelope(server, sender, recipients)
            except smtplib.SMTPResponseException as error:
                raise _answered(error.smtp_code, error.smtp_error) from None
            except ssl.SSLCertVerificationError as error:
                words = f"the certificate of {_WHO} is not trusted: {one_line(error.verify_message)}"
                raise DeliveryError(DeliveryFailure.MISCONFIGURED, words) from None
            except smtplib.SMTPNotSupportedError as error:
                words = f"{_WHO} does not offer what is configured: {one_line(str(error))}"
                raise DeliveryError(DeliveryFailure.MISCONFIGURED, words) from None
            except (OSError, ValueError) as error:
                words = f"{_WHO} cannot be reached: {reason(error)}"
                raise DeliveryError(DeliveryFailure.TRANSIENT, words) from None
            yield server
        finally:
            if server is not None:
                with suppress(OSError):
                    server.quit()
                server.close()

    def _connected(self, deadline: Deadline) -> smtplib.SMTP:
        ours = socket.gethostname()  # not its full name: to ask for that may take as long as DNS likes
        if self._security == "tls":
            server: smtplib.SMTP = _Secure(
                deadline, self._host, self._port, ours, timeout=self._timeout_s, context=self._context
            )
        else:
            server = _Plain(deadline, self._host, self._port, ours, timeout=self._timeout_s)
        try:
            if self._security == "starttls":
                server.starttls(context=self._context)
            if self._account is not None:
                server.login(self._account.username, self._account.password.value)
            server.ehlo_or_helo_if_needed()
        except BaseException:
            server.close()
            raise
        return server

    def _envelope(self, server: smtplib.SMTP, sender: str, recipients: Sequence[str]) -> None:
        code, said = server.mail(sender)
        if code != 250:
            raise _answered(code, said)
        answers = {each: server.rcpt(each) for each in recipients}
        refused = {each: answer for each, answer in answers.items() if answer[0] not in (250, 251)}
        if len(refused) == len(answers):
            raise _answered(*min(refused.values()))  # one that may be taken later is reason enough to wait
        if refused:
            log.warning("mail_recipients_refused", recipients=sorted(refused))


def _answered(code: int, said: bytes | str, *, of_content: bool = False) -> DeliveryError:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    words = f"{_WHO} answered {code}: {one_line(text)}"
    if not 500 <= code < 600:
        return DeliveryError(DeliveryFailure.TRANSIENT, words)
    return DeliveryError(DeliveryFailure.REJECTED if of_content else DeliveryFailure.MISCONFIGURED, words)
