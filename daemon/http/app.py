"""The routes. Health and metrics answer from ready-made values, on threads that no page can keep busy."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from daemon import jsonable
from daemon.board import Board
from daemon.health import Health
from daemon.http.auth import TokenGate
from daemon.metrics.exposition import CONTENT_TYPE, Exposition
from pgvigil import __version__
from pgvigil.model.incident import Incident, State
from pgvigil.text import printable
from pgvigil.units import format_duration

log = structlog.get_logger(__name__)

_PAGE_HEADERS = {
    # The page loads nothing and runs nothing; its one style sheet stands in it.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
MOST_PAGES = 64  # far below the limit of connections, so that probes are answered beside them
_GZIP_LEVEL = 1  # the text shrinks some 15-fold already at the cheapest level


@dataclass(frozen=True, slots=True)
class Sources:
    """What the answers are made of. `incidents(states, target, limit)` reads the store, newest first."""

    board: Board
    health: Health
    exposition: Exposition
    incidents: Callable[[Sequence[State] | None, str | None, int], Sequence[Incident]]
    incident: Callable[[int], Incident | None]
    grafana_url: str = ""


class Answers:
    """The endpoints as methods, so that each has the sources at hand."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._metrics_thread = ThreadPoolExecutor(1, thread_name_prefix="pgvigil-metrics")
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_visible,
        )
        self._templates.filters["duration"] = format_duration

    def close(self) -> None:
        self._metrics_thread.shutdown(wait=False)

    async def metrics(self, request: Request) -> Response:
        text = await asyncio.get_running_loop().run_in_executor(
            self._metrics_thread, self._sources.exposition.text
        )
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(text, media_type=CONTENT_TYPE)
        packed = await asyncio.get_running_loop().run_in_executor(
            self._metrics_thread, lambda: gzip.compress(text, _GZIP_LEVEL)
        )
        return Response(packed, media_type=CONTENT_TYPE, headers={"Content-Encoding": "gzip"})

    async def healthz(self, _request: Request) -> Response:
        return _status(self._sources.health.alive())

    async def readyz(self, _request: Request) -> Response:
        return _status(self._sources.health.ready())

    def targets(self, _request: Request) -> Response:
        return JSONResponse({"targets": [jsonable.target(view) for view in self._sources.board.targets]})

    def incidents(self, request: Request) -> Response:
        states = _states(request.query_params.get("state"))
        limit = _limit(request.query_params.get("limit"))
        found = self._sources.incidents(states, request.query_params.get("target"), limit)
        return JSONResponse({"incidents": [jsonable.incident(item) for item in found]})

    def incident(self, request: Request) -> Response:
        name = request.path_params["name"]
        number = name.removeprefix("INC-")
        found = self._sources.incident(int(number)) if number.isdecimal() and len(number) < 18 else None
        if found is None:
            raise HTTPException(404, f"there is no incident {name}")
        return JSONResponse(jsonable.incident(found))

    def statements(self, request: Request) -> Response:
        wanted = request.query_params.get("target")
        views = [view for view in self._sources.board.targets if wanted in (None, view.name)]
        return JSONResponse({"statements": [row for view in views for row in jsonable.statements(view)]})

    def page(self, _request: Request) -> Response:
        views = self._sources.board.targets
        incidents = sorted(
            (item for view in views for item in view.incidents if item.state is not State.PENDING),
            key=lambda item: (item.suppressed_by is not None, -item.severity, item.pending_since),
        )
        text = self._templates.get_template("overview.html").render(
            version=__version__,
            targets=views,
            incidents=incidents,
            open_states=(State.FIRING, State.UNKNOWN),
            grafana_url=self._sources.grafana_url,
        )
        return HTMLResponse(text, headers=_PAGE_HEADERS)


def _visible(value: Any) -> Any:
    """What the page shows of a value: names from a database may hide or reorder what stands beside them."""
    return printable(value) if type(value) is str else value  # escaped text is of a class of its own


def _status(faults: tuple[str, ...]) -> Response:
    return PlainTextResponse(
        "ok\n" if not faults else "".join(f"{f}\n" for f in faults), 503 if faults else 200
    )


def _states(text: str | None) -> tuple[State, ...] | None:
    """The states of `?state=firing,unknown`; None means all. `open` stands for firing and unknown."""
    if text is None:
        return None
    try:
        words = text.replace("open", "firing,unknown").split(",")
        return tuple(State(word) for word in words)
    except ValueError as error:
        raise HTTPException(400, f"state: {error}; use {', '.join(State)} or open") from error


def _limit(text: str | None) -> int:
    if text is None:
        return 200
    if not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= 1000:
        raise HTTPException(400, "limit: a number from 1 to 1000")
    return int(text)


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "internal error; the log has the details"
    return JSONResponse({"error": detail}, status)


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


def _guarded(handler: Callable[[Request], Any], crowd: _Crowd) -> Callable[[Request], Any]:
    """The HTTP boundary: a defect in one answer is logged and answered, and harms nothing else."""

    async def call(request: Request) -> Response:
        try:
            if asyncio.iscoroutinefunction(handler):
                response: Response = await handler(request)
                return response
            return await crowd.make(handler, request)
        except HTTPException:
            raise
        except Exception as error:  # the HTTP boundary
            log.exception("http_failed", path=request.url.path)
            return await _http_error(request, error)

    return call


def build(sources: Sources, token: str = "") -> ASGIApp:
    """The application; its endpoints read `sources` and nothing else. With a `token`, API and page ask for it."""
    answers = Answers(sources)
    table: dict[str, Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]] = {
        "/metrics": answers.metrics,
        "/healthz": answers.healthz,
        "/readyz": answers.readyz,
        "/api/v1/targets": answers.targets,
        "/api/v1/incidents": answers.incidents,
        "/api/v1/incidents/{name}": answers.incident,
        "/api/v1/statements": answers.statements,
        "/": answers.page,
    }
    crowd = _Crowd()
    routes = [Route(path, _guarded(handler, crowd), methods=["GET"]) for path, handler in table.items()]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
    return TokenGate(app, token) if token else app
