"""Who may read the API and the page, where a token is configured, and whose token or session a request shows."""

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.http.patience import Patience, too_many
from daemon.http.places import login_at, root_of
from daemon.http.sessions import Ended, Sessions, Viewer, cookie_of
from daemon.http.tokens import Holder, May, holder_of

SIGNED_PATHS = "/receivers/"  # what comes in there is signed, and carries no token
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})  # probes and scrapers carry no secrets here
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="pgvigil", charset="UTF-8"'}
_ASKS = """<!doctype html><html lang="en"><title>A token is needed - pgvigil</title>
<p>A token is needed: give it as the password that your browser asks for, or
<a href="{}">log in with a token that has a name</a>.</p></html>"""

# A browser keeps the cookie to itself when a link of somebody else, such as a message's, leads here; the page itself
# asks with it. That one time nobody needs to be asked for a password.
_AGAIN = """<!doctype html><html lang="en"><title>pgvigil</title><meta http-equiv="refresh" content="0">
<p>One moment: <a href="">the page</a> is asked for again.</p></html>"""


@dataclass(frozen=True, slots=True)
class Keys:
    """What is accepted: `token` is asked of everybody who reads, "" asks for none; `holders` have names."""

    token: str = ""
    holders: tuple[Holder, ...] = field(default=())


class TokenGate:
    """Lets a request through that may read: it shows a bearer token, the password that a browser asks for, or a session.

    `keys` are asked each time. Whoever is known by name is noted as `holder` of the request's state, if the token came
    as a bearer token: a browser sends a password by itself, also for a page of somebody else. Its cookie too, so a
    session is noted apart, as `viewer`: what changes something asks for more than that.
    """

    def __init__(
        self, app: ASGIApp, keys: Callable[[], Keys], sessions: Sessions, patience: Patience
    ) -> None:
        self._app = app
        self._keys = keys
        self._sessions = sessions
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if scope["type"] == "http" and not _asks_nobody(scope["path"]):
            refusal = await self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        keys = self._keys()
        cookie = cookie_of(request)
        viewer = self._sessions.of(cookie, keys.holders) if cookie else None
        request.state.viewer = viewer
        kind, credentials = _credentials(request.scope)
        address = request.client.host if request.client else ""
        if credentials and self._patience.exhausted(address):
            return JSONResponse(*too_many())
        holder = holder_of(credentials, keys.holders) if credentials else None
        if kind == b"bearer":
            request.state.holder = holder
        of_all = bool(keys.token) and hmac.compare_digest(credentials, keys.token.encode())
        if credentials and holder is None and not of_all and (keys.token or request.method == "POST"):
            await self._patience.wrong(address)
        if not keys.token or of_all or _may_pass(request, holder, viewer):
            return None
        return _asked(request, viewer)


def _asks_nobody(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(SIGNED_PATHS)


def _may_pass(request: Request, holder: Holder | None, viewer: Viewer | Ended | None) -> bool:
    """Whoever may act and not read is let in to act; reading what it acts on is refused below. What the page's forms
    send asks for a session itself, and so does nothing that is needed to log in.
    """
    path, acts = request.scope["path"], request.method == "POST"
    of_page = not path.startswith("/api/")
    if (path == "/login" or path.startswith("/static/")) or (acts and of_page):
        return True
    if holder is not None and (acts or May.READ in holder.may):
        return True
    return not acts and isinstance(viewer, Viewer) and May.READ in viewer.holder.may


def _asked(request: Request, viewer: Viewer | Ended | None) -> Response:
    """People whose session ended are led back to the log-in; a browser asks all others for a password."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"error": "a token is needed"}, 401, _CHALLENGE)
    if viewer is None and request.headers.get("sec-fetch-site") == "cross-site":
        return HTMLResponse(_AGAIN, 401)
    if isinstance(viewer, Ended):
        return RedirectResponse(login_at(request), 303)
    return HTMLResponse(_ASKS.format(f"{root_of(request)}login"), 401, _CHALLENGE)


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
