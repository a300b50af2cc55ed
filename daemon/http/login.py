"""`/login` and `/logout`: a session for whoever shows a token that has a name."""

from collections.abc import Callable, Mapping

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from daemon.http.auth import Keys
from daemon.http.forms import fields_in, form_of
from daemon.http.hosts import Hosts
from daemon.http.origins import by_tls
from daemon.http.patience import Patience, too_many
from daemon.http.places import go_on, place_in
from daemon.http.rendering import Renderer
from daemon.http.sessions import LIFE_S, Sessions, cookie_name, cookie_of
from daemon.http.tokens import May, holder_of

log = structlog.get_logger(__name__)

MOST_TOKEN = 500
_UNKNOWN = "No token in the configuration is this one. Copy it whole; `pgvigil token new NAME` makes another."
_NOT_READING = (
    'The token {} may not read, and the page shows everything. Add "read" to its `may` in [[tokens]].'
)


class Login:
    """The endpoints; `request.state.body` is what was sent."""

    def __init__(
        self,
        renderer: Renderer,
        sessions: Sessions,
        keys: Callable[[], Keys],
        hosts: Callable[[], Hosts],
        patience: Patience,
    ) -> None:
        self._renderer = renderer
        self._sessions = sessions
        self._keys = keys
        self._hosts = hosts
        self._patience = patience

    def form(self, request: Request) -> Response:
        return self._page(request, request.query_params)

    async def begin(self, request: Request) -> Response:
        """In the event loop, where those who guess are held back."""
        fields = fields_in(request, self._hosts)
        address = request.client.host if request.client else ""
        if self._patience.exhausted(address):
            said, status, headers = too_many()
            return self._page(request, fields, said["error"], status, headers)
        token = fields.get("token", "").strip()
        holder = holder_of(token.encode(), self._keys().holders) if 0 < len(token) <= MOST_TOKEN else None
        if holder is None:
            log.warning("login_refused", address=address)
            await self._patience.wrong(address)
            return self._page(request, fields, _UNKNOWN, 401, {"WWW-Authenticate": "Bearer"})
        if May.READ not in holder.may:
            return self._page(request, fields, _NOT_READING.format(holder.name), 403)
        log.info("logged_in", name=holder.name, address=address)
        self._sessions.end(cookie_of(request))
        answer = go_on(request, place_in(fields.get("back", "")))
        _give(answer, request, self._sessions.begin(holder))
        return answer

    def end(self, request: Request) -> Response:
        form = form_of(request, self._hosts)
        if isinstance(form, Response):
            return form
        self._sessions.end(cookie_of(request))
        answer = go_on(request, "")
        _give(answer, request, "", max_age_s=0)
        return answer

    def _page(
        self,
        request: Request,
        fields: Mapping[str, str],
        wrong: str = "",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        text = self._renderer.text(
            "login.html",
            request,
            title="Log in",
            back=place_in(fields.get("back", "")),
            unsent=bool(fields.get("unsent")),
            wrong=wrong,
            known=bool(self._keys().holders),
            life_s=LIFE_S,
        )
        return HTMLResponse(text, status, headers)


def _give(answer: Response, request: Request, cookie: str, max_age_s: int | None = None) -> None:
    """Without a path it counts below the folder of this address, whatever a proxy has put before that. It goes with
    the browser's window: how long the session lasts is known here, so that its end can be said.
    """
    answer.set_cookie(
        cookie_name(request.headers.get("host", "")),
        cookie,
        max_age=max_age_s,
        path=None,
        secure=by_tls(request),
        httponly=True,
        samesite="strict",
    )
