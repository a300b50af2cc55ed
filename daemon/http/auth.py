"""Who may read the API and the page, where a token is configured, and whose token a request shows."""

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.http.tokens import Holder, May, holder_of

SIGNED_PATHS = "/receivers/"  # what comes in there is signed, and carries no token
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})  # probes and scrapers carry no secrets here


@dataclass(frozen=True, slots=True)
class Keys:
    """What is accepted: `token` is asked of everybody who reads, "" asks for none; `holders` have names."""

    token: str = ""
    holders: tuple[Holder, ...] = field(default=())


class TokenGate:
    """Lets a request through that may read: its token is a bearer token, or the password a browser asks for.

    `keys` are asked each time. Whoever is known by name is noted as `holder` of the request's state, if the token came
    as a bearer token: a browser sends a password by itself, also for a page of somebody else.
    """

    def __init__(self, app: ASGIApp, keys: Callable[[], Keys]) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_open(scope["path"]) or self._allowed(scope):
            await self._app(scope, receive, send)
            return
        headers = [
            (b"www-authenticate", b'Basic realm="pgvigil", charset="UTF-8"'),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"error": "a token is needed"}'})

    def _allowed(self, scope: Scope) -> bool:
        keys = self._keys()
        kind, credentials = _credentials(scope)
        holder = holder_of(credentials, keys.holders) if credentials else None
        if kind == b"bearer":
            scope.setdefault("state", {})["holder"] = holder
        if not keys.token:
            return True
        # Whoever may act and not read is let in to act; reading what it acts on is refused below.
        if holder is not None:
            return May.READ in holder.may or scope["method"] == "POST"
        return hmac.compare_digest(credentials, keys.token.encode())


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(SIGNED_PATHS)


def _credentials(scope: Scope) -> tuple[bytes, bytes]:
    given: bytes = dict(scope["headers"]).get(b"authorization", b"")
    kind, _, credentials = given.partition(b" ")
    kind = kind.lower()
    if kind == b"basic":
        return kind, _password(credentials).strip()
    return kind, credentials.strip() if kind == b"bearer" else b""


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
