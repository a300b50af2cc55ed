"""The JSON API: objects with the list under its plural name."""

from dataclasses import asdict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon import jsonable
from daemon.http.sources import Sources
from pgvigil.model.incident import Incident, State

_OPEN = (State.FIRING, State.UNKNOWN)


class Api:
    """The endpoints as methods, so that each has the sources at hand."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def targets(self, _request: Request) -> Response:
        return JSONResponse({"targets": [jsonable.target(view) for view in self._sources.board.targets]})

    def incidents(self, request: Request) -> Response:
        states = _states(request.query_params.get("state"))
        limit = _limit(request.query_params.get("limit"))
        found = self._sources.incidents(states, request.query_params.get("target"), limit)
        return JSONResponse({"incidents": [jsonable.incident(item) for item in found]})

    def incident(self, request: Request) -> Response:
        return JSONResponse(jsonable.incident(incident_named(self._sources, request.path_params["name"])))

    def statements(self, request: Request) -> Response:
        wanted = request.query_params.get("target")
        views = [view for view in self._sources.board.targets if wanted in (None, view.name)]
        return JSONResponse({"statements": [row for view in views for row in jsonable.statements(view)]})

    def feedback(self, _request: Request) -> Response:
        """Of each rule: its incidents, and how many people found them useful or noise."""
        return JSONResponse({"rules": [asdict(one) for one in self._sources.feedback()]})

    def problems(self, request: Request) -> Response:
        """All that people must mend; those of pgvigil's own set-up have no target."""
        board, wanted = self._sources.board, request.query_params.get("target")
        found = (*board.problems, *(problem for view in board.targets for problem in view.problems))
        shown = [jsonable.problem(one) for one in found if wanted in (None, one.target)]
        return JSONResponse({"problems": shown})


def incident_named(sources: Sources, name: str) -> Incident:
    """The incident `INC-7`, or plain `7`; a 404 when there is none."""
    number = name.removeprefix("INC-")
    found = sources.incident(int(number)) if number.isdecimal() and len(number) < 18 else None
    if found is None:
        raise HTTPException(404, f"there is no incident {name}")
    return found


def _states(text: str | None) -> tuple[State, ...] | None:
    """The states of `?state=firing,unknown`; None means all. `open` stands for firing and unknown."""
    if text is None:
        return None
    try:
        return tuple(
            state for word in text.split(",") for state in (_OPEN if word == "open" else [State(word)])
        )
    except ValueError as error:
        raise HTTPException(400, f"state: {error}; use {', '.join(State)} or open") from error


def _limit(text: str | None) -> int:
    if text is None:
        return 200
    if not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= 1000:
        raise HTTPException(400, "limit: a number from 1 to 1000")
    return int(text)
