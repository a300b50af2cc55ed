"""The pages for people: rendered here, from the same values as the API."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from alerts.sink_failing import OWN
from daemon.http import overview as shown
from daemon.http.api import incident_named
from daemon.http.deeds import DURATIONS, newest, said_of, silence_rows
from daemon.http.rendering import Renderer, notice_for, viewer_of
from daemon.http.sessions import Ended, Viewer
from daemon.http.sources import Sources
from pgvigil.model.incident import Incident
from pgvigil.store import StoreError

log = structlog.get_logger(__name__)

FRESH_S = 1.0  # many who look at once see one rendering
MOST_KEPT = 32
MOST_QUERY = 100
RESOLVED = timedelta(hours=1)
MOST_RESOLVED = 50


class Page:
    """The endpoints that answer with HTML."""

    def __init__(self, sources: Sources, renderer: Renderer) -> None:
        self._sources = sources
        self._renderer = renderer
        self._kept = _Kept(lambda: sources.now().mono_s)

    def overview(self, request: Request) -> Response:
        target = request.query_params.get("target", "")[:MOST_QUERY]
        query = request.query_params.get("q", "").strip()[:MOST_QUERY]
        key = (target, query, *_seen_by(request))
        return HTMLResponse(self._kept.text(key, lambda: self._overview(request, target, query)))

    def incident(self, request: Request) -> Response:
        item = incident_named(self._sources, request.path_params["name"])
        view = self._sources.board.target(item.target)
        now = self._sources.now().utc
        others = () if view is None else view.incidents
        text = self._renderer.text(
            "incident.html",
            request,
            title=f"{item.name} {item.state.value}: {item.summary}",
            now=now,
            card=shown.incident_card(item, others, now),
            history=self._sources.history(item.id),
            verdicts=said_of(self._sources.actions(item.id)),
            silence=self._sources.silencing.silences.named(item.silenced_by),
            why=tuple(self._sources.why(item)),
            watched=view is not None,
            own=item.target == OWN,
            durations=DURATIONS,
        )
        return HTMLResponse(text)

    def target(self, request: Request) -> Response:
        name = request.path_params["name"]
        view = self._sources.board.target(name)
        if view is None:
            raise HTTPException(404, f"there is no target {name}")
        now = self._sources.now().utc
        statements = shown.statements_of(view, most=len(view.top.statements) if view.top else 0)
        text = self._renderer.text(
            "target.html",
            request,
            title=view.name,
            now=now,
            row=shown.target_row(view, now),
            cards=shown.incident_cards([view], now),
            statements_list=statements,
        )
        return HTMLResponse(text)

    def error(self, request: Request, status: int, detail: str) -> Response:
        """For whoever asked with a browser."""
        text = self._renderer.text("error.html", request, title=f"{status}", status=status, detail=detail)
        return HTMLResponse(text, status)

    def _overview(self, request: Request, target: str, query: str) -> str:
        board, now = self._sources.board, self._sources.now().utc
        found = shown.overview(
            board.targets, board.problems, now, target=target, query=query, own_incidents=board.incidents
        )
        return self._renderer.text(
            "overview.html",
            request,
            title=f"{found.open_count} open incident{'' if found.open_count == 1 else 's'}",
            page=found,
            now=now,
            target=target,
            query=query,
            resolved=self._resolved(),
            silences=silence_rows(self._sources.silencing, now),
            markers=newest(self._sources.markers.all, now),
        )

    def _resolved(self) -> tuple[Incident, ...] | None:
        """Those of the last hour, the newest first; None when the store cannot tell."""
        try:
            found = self._sources.resolved(self._sources.now().utc - RESOLVED, MOST_RESOLVED)
        except StoreError as error:
            log.warning("page_without_past", error=str(error))
            return None
        return tuple(found)


def _seen_by(request: Request) -> tuple[str, ...]:
    """What the same page may look different by: who looks, why nobody does, what is said, and what was done last."""
    seen = viewer_of(request)
    if isinstance(seen, Viewer):
        may = " ".join(sorted(seen.holder.may))
        said = request.query_params.get("said", "") if notice_for(request) else ""
        return seen.session.key, seen.holder.name, may, said, seen.session.latest
    return (seen.why,) if isinstance(seen, Ended) else ()


class _Kept:
    """Renderings of the last moment, one at a time: two threads would only slow each other down."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._texts: OrderedDict[tuple[str, ...], tuple[float, str]] = OrderedDict()

    def text(self, key: tuple[str, ...], render: Callable[[], str]) -> str:
        with self._lock:
            kept = self._texts.pop(key, None)
            if kept is None or self._now_s() - kept[0] > FRESH_S:
                kept = (self._now_s(), render())
            self._texts[key] = kept
            if len(self._texts) > MOST_KEPT:
                self._texts.popitem(last=False)
            return kept[1]
