"""`/api/v1/silences`: list, add and expire."""

from datetime import timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alerts.silences import LONGEST_S, SilenceRefusedError
from daemon import jsonable
from daemon.http.asked import holder_who_may, matchers_in, object_in, only, wrong
from daemon.http.sources import Sources
from daemon.http.tokens import May
from pgvigil.model.level import Level
from pgvigil.model.silence import Silence
from pgvigil.store import StoreError
from pgvigil.text import one_line
from pgvigil.units import parse_duration_s

MOST_REASON = 300
_KEYS = ("match", "reason", "for", "until_resolved", "until_worse", "dry_run")
_WORST = ("info", "warning")


class SilencesApi:
    """The endpoints; `request.state.body` is what was sent."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def list(self, _request: Request) -> Response:
        now, silencing = self._sources.now().utc, self._sources.silencing
        found = silencing.open()
        shown = [jsonable.silence(one, now, found) for one in silencing.silences.all]
        return JSONResponse({"silences": shown})

    def add(self, request: Request) -> Response:
        holder = holder_who_may(May.SILENCE, request)
        asked = object_in(request.state.body)
        only(asked, _KEYS)
        silencing, dry_run = self._sources.silencing, _flag(asked, "dry_run")
        try:
            added = silencing.silences.add(self._silence(asked, holder.name), silencing.open, dry_run=dry_run)
        except SilenceRefusedError as error:
            raise HTTPException(400, str(error)) from error
        except StoreError as error:
            raise HTTPException(503, f"nothing was changed: {error}") from error
        if not dry_run:
            silencing.follow()
        hides = added.hides if May.READ in holder.may else ()
        return JSONResponse(
            {
                "silence": jsonable.silence(added.silence, self._sources.now().utc, silencing.open()),
                "hides": [jsonable.incident(one) for one in hides],
                "dry_run": dry_run,
            }
        )

    def expire(self, request: Request) -> Response:
        holder = holder_who_may(May.SILENCE, request)
        found = expired(self._sources, request.path_params["name"], holder.name)
        now, silencing = self._sources.now().utc, self._sources.silencing
        return JSONResponse({"silence": jsonable.silence(found, now, silencing.open())})

    def _silence(self, asked: dict[str, Any], author: str) -> Silence:
        now = self._sources.now().utc
        worst = asked.get("until_worse")
        if worst is not None and worst not in _WORST:
            raise wrong("until_worse", worst, f"use {' or '.join(_WORST)}")
        until_resolved = _flag(asked, "until_resolved")
        return Silence(
            id=0,
            match=tuple(matchers_in(asked.get("match"))),
            author=author,
            reason=_reason(asked.get("reason")),
            created_at=now,
            ends_at=now + timedelta(seconds=_for_s(asked, until_resolved=until_resolved)),
            until_resolved=until_resolved,
            worst=None if worst is None else Level.from_word(worst),
        )


def expired(sources: Sources, name: str, by: str) -> Silence:
    """The silence of that name, ended by somebody now if it was not over. Raises HTTPException."""
    number, silencing = name.removeprefix("SIL-"), sources.silencing
    if not number.isdecimal() or len(number) > 17:
        raise HTTPException(404, "there is no such silence")
    try:
        found = silencing.silences.expire(int(number), by, sources.now().utc)
    except StoreError as error:
        raise HTTPException(503, f"nothing was changed: {error}") from error
    if found is None:
        raise HTTPException(404, f"there is no silence SIL-{number}")
    silencing.follow()
    return found


def _flag(asked: dict[str, Any], key: str) -> bool:
    value = asked.get(key, False)
    if not isinstance(value, bool):
        raise wrong(key, value, "use true or false")
    return value


def _for_s(asked: dict[str, Any], *, until_resolved: bool) -> float:
    if "for" not in asked and until_resolved:
        return LONGEST_S
    try:
        return min(parse_duration_s(asked.get("for")), 10 * LONGEST_S)
    except ValueError as error:
        raise wrong("for", asked.get("for"), 'use a duration such as "2h"') from error


def _reason(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_REASON or not one_line(value):
        raise wrong("reason", value, f"say why, in at most {MOST_REASON} characters")
    return one_line(value, MOST_REASON)
