"""What commands ask of a running daemon: through its API, never past it, so that there is one truth."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.settings import DaemonSettings
from pgvigil.problems import Problem, SetupError
from pgvigil.redact import redact
from pgvigil.text import one_line

TOKEN = "PGVIGIL_TOKEN"  # noqa: S105 - the name of a variable
WITHIN_S = 15.0
MOST_ANSWER_BYTES = 4_000_000
REFUSED = 409  # an answer like any other: it was understood, and cannot be done

DaemonUrl = Annotated[
    str | None, typer.Option("--url", help="Where the daemon answers; by default as configured.")
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help=f"File with your token; otherwise ${TOKEN}.")
]


def url_of(settings: DaemonSettings) -> str:
    """Where the daemon with that configuration answers on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.listen.host, settings.listen.host)  # noqa: S104 - compared only
    return f"http://{settings.listen._replace(host=host)}"


def token_from(file: Path | None) -> str:
    """The token of whoever runs the command. Raises SetupError without one."""
    try:
        token = os.environ.get(TOKEN, "") if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _no_token(f"The token file {file} cannot be read") from error
    token = token.strip()
    if not token:
        raise _no_token("Acting on incidents needs a token, and there is none")
    if not token.isascii() or not token.isprintable():
        raise _no_token("What was given as a token is none")
    return token


def _no_token(what: str) -> SetupError:
    return SetupError(
        Problem(
            slug="token-needed",
            sentence=f"{what}.",
            fix="Make one with `pgvigil token new NAME --may act`, and put it into the variable PGVIGIL_TOKEN or name"
            " its file with --token-file.",
        )
    )


class Daemon:
    """A daemon that runs. Nothing is sent through a proxy: a token is for the daemon alone."""

    def __init__(self, url: str, token: str) -> None:
        if not url.lower().startswith(("http://", "https://")):
            raise SetupError(_unreachable(redact(url), "the address must begin with http:// or https://"))
        self._url = url.rstrip("/")
        self._token = token
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def post(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What it answers. Raises SetupError when it cannot be reached, or says no."""
        body = json.dumps(dict(asked)).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            request = urllib.request.Request(self._url + path, body, headers, method="POST")  # noqa: S310 - the scheme is checked above
            with self._opener.open(request, timeout=WITHIN_S) as answer:
                return _answer(answer.read(MOST_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                return self._said_no(error)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise SetupError(_unreachable(redact(self._url), one_line(str(reason)))) from error

    def _said_no(self, error: urllib.error.HTTPError) -> dict[str, Any]:
        try:
            answer = _answer(error.read(MOST_ANSWER_BYTES))
        except (OSError, ValueError, http.client.HTTPException):
            answer = {}
        if error.code == REFUSED and "result" in answer:
            return answer
        why = one_line(str(answer.get("error", "no reason given")), 300)
        raise SetupError(_refused(redact(self._url), error.code, why)) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token is not carried elsewhere."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


def _answer(body: bytes) -> dict[str, Any]:
    answer = json.loads(body)
    if not isinstance(answer, dict):
        raise ValueError("what answers is no pgvigil")  # noqa: TRY004 - like any other answer that is none
    return answer


def _unreachable(url: str, reason: str) -> Problem:
    return Problem(
        slug="daemon-unreachable",
        sentence=f"The daemon at {url} cannot be reached: {reason}.",
        fix="See whether `pgvigil run` runs there; if it answers at another address, name that with --url.",
    )


def _refused(url: str, status: int, reason: str) -> Problem:
    return Problem(
        slug="daemon-refused",
        sentence=f"The daemon at {url} says no ({status}): {reason}.",
        fix="Do what it says; [[tokens]] in its configuration says who may act.",
    )
