"""Templates, with what every page shows: who looks at it, and what became of what that person did last."""

import uuid
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request

from daemon.http.places import here, login_at, root_of
from daemon.http.sessions import Ended, Notice, Viewer
from daemon.http.sources import Sources
from daemon.http.words import FILTERS, visible
from pgvigil import __version__
from pgvigil.model.action import fault_of


class Renderer:
    """`assets` is the version of the static files."""

    def __init__(self, sources: Sources, assets: str) -> None:
        self._sources = sources
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=visible,
            undefined=StrictUndefined,
        )
        self._templates.filters.update(FILTERS)
        self._templates.globals.update(assets=assets, version=__version__, press=_press, fault_of=fault_of)

    def text(self, template: str, request: Request, **values: Any) -> str:
        seen = viewer_of(request)
        return self._templates.get_template(template).render(
            grafana_url=self._sources.grafana_url(),
            root=root_of(request),
            here=here(request),
            login=login_at(request),
            viewer=seen if isinstance(seen, Viewer) else None,
            ended=seen.why if isinstance(seen, Ended) else "",
            said=notice_for(request),
            **values,
        )


def _press() -> str:
    """The id of one press of a button: sent twice it is done once."""
    return str(uuid.uuid4())


def viewer_of(request: Request) -> Viewer | Ended | None:
    """Who is logged in; None where nobody ever was."""
    found: Viewer | Ended | None = getattr(request.state, "viewer", None)
    return found


def notice_for(request: Request) -> Notice | None:
    """What is to be said on this page, to this session and nobody else."""
    viewer = viewer_of(request)
    if not isinstance(viewer, Viewer):
        return None
    return viewer.session.notices.get(request.query_params.get("said", ""))
