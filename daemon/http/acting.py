"""`POST /api/v1/incidents/{name}/actions`: what people do to an incident, in JSON.

No form of a browser can forge it: it needs a bearer token, which no browser sends by itself, a body that says that it
is JSON, and an Origin, where there is one, that is pgvigil itself.
"""

import uuid
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alerts.actions import NoSuchIncidentError
from daemon import jsonable
from daemon.http.api import incident_named
from daemon.http.asked import holder_who_may, id_in, object_in, only, wrong
from daemon.http.sources import Sources
from daemon.http.tokens import Holder, May
from pgvigil.model.action import FEEDBACK, Action, ActionKind, Actor, Door, Result
from pgvigil.store import StoreError
from pgvigil.text import one_line

MOST_NOTE = 500
_KEYS = ("action", "id", "note", "door")
_KINDS = (
    ActionKind.ACKNOWLEDGE,
    ActionKind.UNACKNOWLEDGE,
    ActionKind.REFRESH,
    *FEEDBACK,
)  # silences have an address of their own
_DOORS = (Door.API, Door.CLI)  # what a caller may call itself; the others are known for certain
_STATUS = {Result.DONE: 200, Result.ALREADY: 200, Result.REFUSED: 409}


class Acting:
    """The endpoint; `request.state.body` is what was sent."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def incident(self, request: Request) -> Response:
        holder = holder_who_may(May.ACT, request)
        asked = object_in(request.state.body)
        try:
            item = incident_named(self._sources, request.path_params["name"])
            action = self._action(asked, item.id, holder)
            outcome = self._sources.act(action)
        except NoSuchIncidentError as error:
            raise HTTPException(404, str(error)) from error
        except StoreError as error:
            raise HTTPException(503, f"nothing was changed: {error}") from error
        answer: dict[str, Any] = {
            "result": outcome.result.value,
            "message": outcome.sentence,
            "action": action.id,
        }
        if May.READ in holder.may:
            answer["incident"] = jsonable.incident(outcome.incident)
        return JSONResponse(answer, _STATUS[outcome.result])

    def _action(self, asked: dict[str, Any], incident_id: int, holder: Holder) -> Action:
        only(asked, _KEYS)
        return Action(
            id=str(uuid.uuid4()) if asked.get("id") is None else id_in(asked["id"]),
            kind=ActionKind(_choice(asked, "action", _KINDS)),
            incident_id=incident_id,
            actor=Actor(holder.name, Door(_choice({"door": Door.API, **asked}, "door", _DOORS))),
            at=self._sources.now().utc,
            note=_note(asked.get("note", "")),
        )


def _choice(asked: dict[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = asked.get(key)
    if not isinstance(value, str) or value not in known:
        raise wrong(key, value, f"use {' or '.join(known)}")
    return value


def _note(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_NOTE:
        raise wrong("note", value, f"use text of at most {MOST_NOTE} characters")
    return one_line(value, MOST_NOTE)
