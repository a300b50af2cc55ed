"""The pages for people: rendered here, from the same values as the API."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from alerts.sink_failing import OWN
from daemon.http import overview as shown
from daemon.http.api import incident_named
from daemon.http.sources import Sources
from daemon.http.words import FILTERS, visible
from pgvigil import __version__
from pgvigil.model.incident import Incident
from pgvigil.store import StoreError

log = structlog.get_logger(__name__)

FRESH_S = 1.0  # many who look at once see one rendering
MOST_KEPT = 32
MOST_QUERY = 100
RESOLVED = timedelta(hours=1)
MOST_RESOLVED = 50


class Page:
    """The endpoints that answer with HTML. `assets` is the version of the static files."""

    def __init__(self, sources: Sources, assets: str) -> None:
        self._sources = sources
        self._kept = _Kept(lambda: sources.now().mono_s)
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=visible,
            undefined=StrictUndefined,
        )
        self._templates.filters.update(FILTERS)
        self._templates.globals.update(assets=assets, version=__version__)

    def overview(self, request: Request) -> Response:
        target = request.query_params.get("target", "")[:MOST_QUERY]
        query = request.query_params.get("q", "").strip()[:MOST_QUERY]
        return HTMLResponse(self._kept.text((target, query), lambda: self._overview(target, query)))

    def incident(self, request: Request) -> Response:
        item = incident_named(self._sources, request.path_params["name"])
        view = self._sources.board.target(item.target)
        now = self._sources.now().utc
        others = () if view is None else view.incidents
        text = self._render(
            "incident.html",
            root="../",
            title=f"{item.name} {item.state.value}: {item.summary}",
            now=now,
            card=shown.incident_card(item, others, now),
            history=self._sources.history(item.id),
            watched=view is not None,
            own=item.target == OWN,
        )
        return HTMLResponse(text)

    def target(self, request: Request) -> Response:
        name = request.path_params["name"]
        view = self._sources.board.target(name)
        if view is None:
            raise HTTPException(404, f"there is no target {name}")
        now = self._sources.now().utc
        statements = shown.statements_of(view, most=len(view.top.statements) if view.top else 0)
        text = self._render(
            "target.html",
            root="../",
            title=view.name,
            now=now,
            row=shown.target_row(view, now),
            cards=shown.incident_cards([view], now),
            statements_list=statements,
        )
        return HTMLResponse(text)

    def error(self, path: str, status: int, detail: str) -> Response:
        """For whoever asked for `path` with a browser."""
        root = "../" * (path.count("/") - 1)
        text = self._render("error.html", root=root, title=f"{status}", status=status, detail=detail)
        return HTMLResponse(text, status)

    def _overview(self, target: str, query: str) -> str:
        board, now = self._sources.board, self._sources.now().utc
        found = shown.overview(
            board.targets, board.problems, now, target=target, query=query, own_incidents=board.incidents
        )
        return self._render(
            "overview.html",
            root="",
            title=f"{found.open_count} open incident{'' if found.open_count == 1 else 's'}",
            page=found,
            now=now,
            target=target,
            query=query,
            resolved=self._resolved(),
        )

    def _resolved(self) -> tuple[Incident, ...] | None:
        """Those of the last hour, the newest first; None when the store cannot tell."""
        try:
            found = self._sources.resolved(self._sources.now().utc - RESOLVED, MOST_RESOLVED)
        except StoreError as error:
            log.warning("page_without_past", error=str(error))
            return None
        return tuple(found)

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(
            grafana_url=self._sources.grafana_url(), **values
        )


class _Kept:
    """Renderings of the last moment, one at a time: two threads would only slow each other down."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._texts: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()

    def text(self, key: tuple[str, str], render: Callable[[], str]) -> str:
        with self._lock:
            kept = self._texts.pop(key, None)
            if kept is None or self._now_s() - kept[0] > FRESH_S:
                kept = (self._now_s(), render())
            self._texts[key] = kept
            if len(self._texts) > MOST_KEPT:
                self._texts.popitem(last=False)
            return kept[1]
