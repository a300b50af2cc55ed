"""Short reports to an address outside: a Pushgateway, a dead man's switch."""

import base64
import urllib.request
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 5.0


class Unanswered(Exception):  # noqa: N818  # it is no fault of the caller's
    """It did not arrive, or nobody said that it did. `str()` holds no secret."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An answer that leads elsewhere is none: a login page would take everything."""

    def redirect_request(self, *_given: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects())


def send(url: str, body: bytes, *, method: str, content_type: str) -> None:
    """Once, with TIMEOUT_S for each step. Raises Unanswered.

    A name and password in `url` are sent as basic authentication: urllib would take them for the host's name.
    """
    parts = urlsplit(url)
    account, _, host = parts.netloc.rpartition("@")
    headers = {"Content-Type": content_type, **_authorization(account)}
    request = urllib.request.Request(  # noqa: S310  # the scheme is checked when the configuration is read
        parts._replace(netloc=host).geturl(), data=body, method=method, headers=headers
    )
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S):
            pass
    except (OSError, HTTPException) as error:
        raise Unanswered(str(error)) from None


def _authorization(account: str) -> dict[str, str]:
    """The header for `name:password` as it stands in a URL; none for an empty one."""
    if not account:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(unquote(account).encode()).decode()}"}
