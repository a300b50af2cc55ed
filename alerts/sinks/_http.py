"""One POST to a destination that speaks HTTP: no retries, no redirects, errors for the outbox.

Proxies are those of the environment (`https_proxy`, `no_proxy`). The time-out is that of each step: to connect, to
write, to wait for the answer; a whole call takes at most three times as long, however slowly the answer comes. What it
says beyond its status is read for as long as one step at most, and no more of it than a line's worth: the status decides.
"""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request

from pydantic import Field

from alerts.sinks._deadline import STEPS, Deadline
from alerts.sinks._failures import PERHAPS_DONE_STATUS, asked_to_wait, broken, perhaps
from pgvigil.model.delivery import DeliveryError, DeliveryFailure
from pgvigil.plugins import Params
from pgvigil.problems import Problem, SetupError
from pgvigil.text import one_line
from pgvigil.units import DurationS

_MOST_BYTES = 16_384  # of an answer
_BROKEN = (OSError, HTTPException, ValueError, LookupError)
_CONTENT_STATUS = frozenset({400, 413, 415, 422})
_LATER_STATUS = frozenset({408, 425})


class HttpParams(Params):
    """What every destination has that speaks HTTP."""

    timeout: DurationS = Field(
        10.0,
        description="How long to wait at each step of a call; a whole call takes at most three times as long.",
    )
    ca_file: Path | None = Field(
        None, description="File with the certificates to trust (PEM), instead of the system's."
    )


def checked_url(value: str) -> str:
    """`value` when it is a URL without secrets in it; raises ValueError."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must begin with https:// or http:// and name a host")
    if not value.isascii() or not value.isprintable() or " " in value or parts.port == 0:
        raise ValueError("holds what no URL can hold")
    if parts.username or parts.password:
        raise ValueError("a name and password do not belong into it; use a file")
    return value.rstrip("/")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]  # names in lower case


class _NoRedirects(HTTPRedirectHandler):
    """Who is redirected has another address than people wrote down: that is for them to see."""

    def redirect_request(self, *_about: Any, **_more: Any) -> None:
        return None


class HttpClient:
    """`who` is the destination's name in errors. Raises SetupError when `ca_file` cannot be used."""

    def __init__(self, who: str, timeout_s: float, ca_file: Path | None = None) -> None:
        self._who = who
        self._timeout_s = timeout_s
        self._trust = trust(ca_file)

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, creates: bool, hidden: str = ""
    ) -> Answer:
        """The answer of success. `creates` says that doing it twice would be seen; `hidden` is never in an error.

        Raises DeliveryError.
        """
        request = Request(url, data=body, method="POST", headers={"User-Agent": "pgvigil", **headers})  # noqa: S310 - `checked_url` has seen the scheme
        try:
            answer = self._ask(request)
        except URLError as error:
            raise self._unreached(error, creates=creates) from None
        except _BROKEN as error:
            raise broken(error, self._who, creates=creates) from None
        if 200 <= answer.status < 300:
            return answer
        raise refusal(self._who, answer, creates=creates, hidden=hidden)

    def _ask(self, request: Request) -> Answer:
        with Deadline(STEPS * self._timeout_s) as deadline:
            opener = deadline.opener(_NoRedirects(), context=self._trust)
            try:
                with opener.open(request, timeout=self._timeout_s) as response:
                    return self._read(response.status, response)
            except HTTPError as error:
                with error:
                    return self._read(error.code, error.fp, error.headers)

    def _read(self, status: int, response: HTTPResponse | Any, headers: Any = None) -> Answer:
        given = {name.lower(): value for name, value in (headers or response.headers).items()}
        return Answer(status, self._text(response), given)

    def _text(self, response: HTTPResponse | Any) -> str:
        """As much of the answer as came in time: a status without its words is an answer as well."""
        read, until_s = b"", time.monotonic() + self._timeout_s
        try:
            while len(read) < _MOST_BYTES and time.monotonic() < until_s:
                part = response.read1(_MOST_BYTES - len(read))
                if not part:
                    break
                read += part
        except _BROKEN:
            pass  # it broke off: what came before is what there is
        return read.decode("utf-8", "replace")

    def _unreached(self, error: URLError, *, creates: bool) -> DeliveryError:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            words = f"the certificate of {self._who} is not trusted: {one_line(error.reason.verify_message)}"
            return DeliveryError(DeliveryFailure.MISCONFIGURED, words)
        return broken(error, self._who, creates=creates)


def refusal(who: str, answer: Answer, *, creates: bool, hidden: str = "") -> DeliveryError:
    """What an answer means that is not success."""
    if answer.status == 429:
        return asked_to_wait(who, answer.headers.get("retry-after"))
    page = "html" in answer.headers.get("content-type", "")
    said = "" if page else one_line(answer.text.replace(hidden, "***") if hidden else answer.text)
    words = f"{who} answered HTTP {answer.status}" + (f": {said}" if said else "")
    return DeliveryError(_kind(answer.status, creates=creates), words)


def _kind(status: int, *, creates: bool) -> DeliveryFailure:
    if status in PERHAPS_DONE_STATUS:
        return perhaps(creates)
    if status >= 500 or status in _LATER_STATUS:
        return DeliveryFailure.TRANSIENT
    return DeliveryFailure.REJECTED if status in _CONTENT_STATUS else DeliveryFailure.MISCONFIGURED


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Certificates and names are checked. Raises SetupError when `ca_file` cannot be used."""
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or type(error).__name__
        raise SetupError(
            Problem(
                slug="sink-ca-file",
                sentence=f"The certificates in {ca_file} cannot be used: {words}.",
                fix="Name a PEM file that the user can read that pgvigil runs as.",
            )
        ) from None
