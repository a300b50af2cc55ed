"""Who may read the API and the page, where a token is configured."""

import base64
import binascii
import hmac
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})  # probes and scrapers carry no secrets here


class TokenGate:
    """Lets a request through that carries the token: as a bearer token, or as the password a browser asks for.

    `token` is asked each time; "" asks for none.
    """

    def __init__(self, app: ASGIApp, token: Callable[[], str]) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._allowed(scope):
            await self._app(scope, receive, send)
            return
        headers = [
            (b"www-authenticate", b'Basic realm="pgvigil", charset="UTF-8"'),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"error": "a token is needed"}'})

    def _allowed(self, scope: Scope) -> bool:
        token = self._token().encode()
        if not token:
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        kind, _, credentials = given.partition(b" ")
        if kind.lower() == b"basic":
            credentials = _password(credentials)
        elif kind.lower() != b"bearer":
            return False
        return hmac.compare_digest(credentials.strip(), token)


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
