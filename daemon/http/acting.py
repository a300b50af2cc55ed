"""`POST /api/v1/incidents/{name}/actions`: what people do to an incident, in JSON.

No form of a browser can forge it: it needs a bearer token, which no browser sends by itself, a body that says that it
is JSON, and an Origin, where there is one, that is pgvigil itself.
"""

import json
import re
import uuid
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alerts.actions import NoSuchIncidentError
from daemon import jsonable
from daemon.http.api import incident_named
from daemon.http.sources import Sources
from daemon.http.tokens import Holder, May
from pgvigil.model.action import Action, ActionKind, Actor, Door, Result
from pgvigil.store import StoreError
from pgvigil.text import one_line

MOST_NOTE = 500
_KEYS = ("action", "id", "note", "door")
_DOORS = (Door.API, Door.CLI)  # what a caller may call itself; the others are known for certain
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_STATUS = {Result.DONE: 200, Result.ALREADY: 200, Result.REFUSED: 409}


class Acting:
    """The endpoint; `request.state.body` is what was sent."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def incident(self, request: Request) -> Response:
        holder = _holder(request)
        asked = _object(request.state.body)
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
        for key, value in asked.items():
            if key not in _KEYS:
                raise _wrong(key, value, f"unknown key; use {', '.join(_KEYS)}")
        return Action(
            id=_id(asked.get("id")),
            kind=ActionKind(_choice(asked, "action", tuple(ActionKind))),
            incident_id=incident_id,
            actor=Actor(holder.name, Door(_choice({"door": Door.API, **asked}, "door", _DOORS))),
            at=self._sources.now().utc,
            note=_note(asked.get("note", "")),
        )


def _holder(request: Request) -> Holder:
    """Who acts. Raises 401 without a token that has a name, 403 where it may not, or where the page is another's."""
    origin = request.headers.get("origin")
    if origin is not None and not _same(origin, request.headers.get("host", "")):
        raise HTTPException(403, "a page of another origin may not act here")
    holder: Holder | None = getattr(request.state, "holder", None)
    if holder is None:
        raise HTTPException(
            401,
            "acting needs a bearer token with a name; `pgvigil token new NAME --may act` makes one",
            {"WWW-Authenticate": "Bearer"},
        )
    if May.ACT not in holder.may:
        raise HTTPException(
            403, f'the token {holder.name} may only read; add "act" to its `may` in the configuration'
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "the body must be JSON: send Content-Type: application/json")
    return holder


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:  # half an IPv6 address
        return False


def _object(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(
            400, 'the body is no JSON; send an object such as {"action": "acknowledge"}'
        ) from error
    if not isinstance(asked, dict):
        raise HTTPException(400, 'the body must be one JSON object, such as {"action": "acknowledge"}')
    return asked


def _choice(asked: dict[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = asked.get(key)
    if not isinstance(value, str) or value not in known:
        raise _wrong(key, value, f"use {' or '.join(known)}")
    return value


def _id(value: Any) -> str:
    if value is None:
        return str(uuid.uuid4())
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise _wrong("id", value, "use 1 to 64 letters, digits and _ . : -, or leave it out")
    return value


def _note(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_NOTE:
        raise _wrong("note", value, f"use text of at most {MOST_NOTE} characters")
    return one_line(value, MOST_NOTE)


def _wrong(key: str, value: Any, fix: str) -> HTTPException:
    """In ASCII: what was sent may hold halves of characters, which no answer can."""
    shown = json.dumps(value)
    return HTTPException(400, f"{json.dumps(key[:60])} is {shown[:80]}{'…' * (len(shown) > 80)}: {fix}")
