"""The page for people: rendered here, from the same values as the API."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from daemon.http.sources import Sources
from pgvigil import __version__
from pgvigil.model.incident import State
from pgvigil.text import printable
from pgvigil.units import format_duration


class Page:
    """The endpoints that answer with HTML. `assets` is the version of the static files."""

    def __init__(self, sources: Sources, assets: str) -> None:
        self._sources = sources
        self._assets = assets
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_visible,
        )
        self._templates.filters["duration"] = format_duration

    def overview(self, _request: Request) -> Response:
        views = self._sources.board.targets
        incidents = sorted(
            (item for view in views for item in view.incidents if item.state is not State.PENDING),
            key=lambda item: (item.suppressed_by is not None, -item.severity, item.pending_since),
        )
        text = self._templates.get_template("overview.html").render(
            version=__version__,
            assets=self._assets,
            targets=views,
            incidents=incidents,
            open_states=(State.FIRING, State.UNKNOWN),
            grafana_url=self._sources.grafana_url(),
        )
        return HTMLResponse(text)


def _visible(value: Any) -> Any:
    """What the page shows of a value: names from a database may hide or reorder what stands beside them."""
    return printable(value) if type(value) is str else value  # escaped text is of a class of its own
