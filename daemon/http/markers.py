"""`/api/v1/markers`: what people and their programs did, and when."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon import jsonable
from daemon.http.asked import holder_who_may, id_in, matchers_in, object_in, only, wrong
from daemon.http.sources import Sources
from daemon.http.tokens import May
from pgvigil.model.marker import Marker
from pgvigil.store import StoreError
from pgvigil.text import one_line

MOST_TEXT = 120
MOST_LISTED = 200
MOST_AHEAD = timedelta(minutes=1)  # clocks differ
MOST_PAST = timedelta(days=30)
_KEYS = ("text", "at", "match", "id")


class MarkersApi:
    """The endpoints; `request.state.body` is what was sent."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def list(self, _request: Request) -> Response:
        """The newest first."""
        newest = self._sources.markers.all[-MOST_LISTED:]
        return JSONResponse({"markers": [jsonable.marker(one) for one in reversed(newest)]})

    def add(self, request: Request) -> Response:
        holder = holder_who_may(May.MARK, request)
        asked = object_in(request.state.body)
        only(asked, _KEYS)
        try:
            added = self._sources.markers.add(self._marker(asked, holder.name))
        except StoreError as error:
            raise HTTPException(503, f"nothing was changed: {error}") from error
        return JSONResponse({"marker": jsonable.marker(added)})

    def _marker(self, asked: dict[str, Any], author: str) -> Marker:
        return Marker(
            id=str(uuid.uuid4()) if asked.get("id") is None else id_in(asked["id"]),
            at=_at(asked.get("at"), self._sources.now().utc),
            text=_text(asked.get("text")),
            author=author,
            match=tuple(matchers_in(asked["match"])) if "match" in asked else (),
        )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_TEXT or not one_line(value):
        raise wrong("text", value, f"say what was done, in at most {MOST_TEXT} characters")
    return one_line(value, MOST_TEXT)


def _at(value: Any, now: datetime) -> datetime:
    if value is None:
        return now
    try:
        at = datetime.fromisoformat(value)
        fits = at.tzinfo is not None and now - MOST_PAST <= at <= now + MOST_AHEAD
    except (ValueError, TypeError, OverflowError):
        fits = False
    if not fits:
        fix = "use a time of the last 30 days with its zone, such as 2026-11-22T20:15:00Z"
        raise wrong("at", value, fix)
    return at.astimezone(now.tzinfo)
