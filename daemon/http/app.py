"""The routes, and the boundary around each: a defect in one answer harms no other."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from daemon.http.acting import Acting
from daemon.http.api import Api
from daemon.http.auth import Keys, TokenGate
from daemon.http.headers import SafeHeaders
from daemon.http.hosts import HostGate, Hosts
from daemon.http.login import Login
from daemon.http.markers import MarkersApi
from daemon.http.page import Page
from daemon.http.patience import Patience
from daemon.http.pressing import Pressing
from daemon.http.probes import Probes
from daemon.http.receiving import MOST_RECEIVED_BYTES, Receiving
from daemon.http.rendering import Renderer
from daemon.http.sessions import Sessions
from daemon.http.silences import SilencesApi
from daemon.http.sources import Sources
from daemon.http.static import Static

log = structlog.get_logger(__name__)

MOST_BODY_BYTES = 16_384
BODY_S = 10.0
MOST_PAGES = 64  # far below the limit of connections, so that probes are answered beside them


def build(sources: Sources, hosts: Callable[[], Hosts], keys: Callable[[], Keys] = Keys) -> ASGIApp:
    """The application; its endpoints read `sources` and nothing else. API and page answer to `hosts` only, and ask
    for the token of `keys`, where there is one. Both are asked each time: they may change.
    """
    static, patience = Static(), Patience()
    sessions = Sessions(lambda: sources.now().mono_s)
    renderer = Renderer(sources, static.version)
    silencing, marking = SilencesApi(sources), MarkersApi(sources)
    probes, api, page = Probes(sources), Api(sources), Page(sources, renderer)
    login = Login(renderer, sessions, keys, hosts, patience)
    table: dict[str, Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]] = {
        "/metrics": probes.metrics,
        "/healthz": probes.healthz,
        "/readyz": probes.readyz,
        "/api/v1/targets": api.targets,
        "/api/v1/incidents": api.incidents,
        "/api/v1/incidents/{name}": api.incident,
        "/api/v1/statements": api.statements,
        "/api/v1/problems": api.problems,
        "/api/v1/rules/feedback": api.feedback,
        "/api/v1/silences": silencing.list,
        "/api/v1/markers": marking.list,
        "/static/{version}/{name}": static.file,
        "/login": login.form,
        "/": page.overview,
        "/incidents/{name}": page.incident,
        "/targets/{name}": page.target,
    }
    boundary = _Boundary(page)
    routes = [Route(path, boundary.around(handler), methods=["GET"]) for path, handler in table.items()]
    pressing = Pressing(sources, sessions, hosts)
    posted: dict[str, Callable[[Request], Any]] = {
        "/api/v1/incidents/{name}/actions": Acting(sources).incident,
        "/api/v1/silences": silencing.add,
        "/api/v1/silences/{name}/expire": silencing.expire,
        "/api/v1/markers": marking.add,
        "/login": login.begin,
        "/logout": login.end,
        "/incidents/{name}/actions": pressing.incident,
        "/silences/{name}/expire": pressing.expire,
    }
    for path, taker in posted.items():
        routes.append(Route(path, boundary.around(taker, takes_body=True), methods=["POST"]))
    receiving = boundary.around(Receiving(sources).take, takes_body=True, most_bytes=MOST_RECEIVED_BYTES)
    routes.append(Route("/receivers/{name}", receiving, methods=["POST"]))
    app = Starlette(routes=routes, exception_handlers={HTTPException: boundary.http_error})
    return SafeHeaders(HostGate(TokenGate(app, keys, sessions, patience), hosts))


class _Crowd:
    """How many answers of page and API are being made; touched by the event loop only."""

    def __init__(self) -> None:
        self._here = 0

    async def make(self, handler: Callable[[Request], Response], request: Request) -> Response:
        """The answer, made by a thread; the many that would wait for one are turned away."""
        if self._here >= MOST_PAGES:
            raise HTTPException(503, "too many requests at once")
        self._here += 1
        try:
            return await asyncio.to_thread(handler, request)
        finally:
            self._here -= 1


async def _body(request: Request, most_bytes: int) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise HTTPException(413, f"the body must have at most {most_bytes} bytes")
    except TimeoutError as error:
        raise HTTPException(408, f"the body did not come within {BODY_S:.0f} s") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the body did not come to its end") from error
    return body


class _Boundary:
    """The HTTP boundary: a defect in one answer is logged and answered, and harms nothing else."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._crowd = _Crowd()

    def around(
        self,
        handler: Callable[[Request], Any],
        *,
        takes_body: bool = False,
        most_bytes: int = MOST_BODY_BYTES,
    ) -> Callable[[Request], Any]:
        async def call(request: Request) -> Response:
            try:
                if takes_body:
                    request.state.body = await _body(request, most_bytes)
                if asyncio.iscoroutinefunction(handler):
                    response: Response = await handler(request)
                    return response
                return await self._crowd.make(handler, request)
            except HTTPException:
                raise
            except Exception as error:  # the HTTP boundary
                log.exception("http_failed", path=request.url.path)
                return await self.http_error(request, error)

        return call

    async def http_error(self, request: Request, error: Exception) -> Response:
        """In HTML for whoever looks at a page, in JSON for everybody else."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = (
            error.detail if isinstance(error, HTTPException) else "internal error; the log has the details"
        )
        path = request.scope["path"]
        if "text/html" in request.headers.get("accept", "") and not path.startswith("/api/"):
            return self._page.error(request, status, detail)
        headers = error.headers if isinstance(error, HTTPException) else None
        return JSONResponse({"error": detail}, status, headers)
