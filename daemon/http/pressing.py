"""What people press on the page: the same actions as those of the API, from a form of their session."""

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from alerts.actions import NoSuchIncidentError
from daemon.http.acting import MOST_NOTE
from daemon.http.api import incident_named
from daemon.http.asked import id_in, wrong
from daemon.http.forms import Form, form_of
from daemon.http.hosts import Hosts
from daemon.http.places import go_on
from daemon.http.sessions import Notice, Sessions
from daemon.http.silences import expired
from daemon.http.sources import Sources
from daemon.http.tokens import May
from pgvigil.model.action import QUIETING, Action, ActionKind, Actor, Door, Outcome, Result
from pgvigil.model.level import Level
from pgvigil.store import StoreError
from pgvigil.text import one_line
from pgvigil.units import parse_duration_s

UNTIL_RESOLVED = "resolved"
_WORST = ("info", "warning")


class Pressing:
    """The endpoints; `request.state.body` is what was sent."""

    def __init__(self, sources: Sources, sessions: Sessions, hosts: Callable[[], Hosts]) -> None:
        self._sources = sources
        self._sessions = sessions
        self._hosts = hosts

    def incident(self, request: Request) -> Response:
        form = form_of(request, self._hosts)
        if isinstance(form, Response):
            return form
        kind = _kind(form)
        holder = form.holder_who_may(May.SILENCE if kind in QUIETING else May.ACT)
        try:
            item = incident_named(self._sources, request.path_params["name"])
            action = Action(
                id=id_in(form.fields.get("press")),
                kind=kind,
                incident_id=item.id,
                actor=Actor(holder.name, Door.PAGE),
                at=self._sources.now().utc,
                note=_note(form),
                for_s=_for_s(form) if kind is ActionKind.SILENCE else None,
                worst=_worst(form) if kind is ActionKind.SILENCE else None,
                fault=form.fields.get("fault", ""),
            )
            notice = _became(self._sources.act(action))
        except NoSuchIncidentError as error:
            raise HTTPException(404, str(error)) from error
        except StoreError as error:
            notice = _unwritten(error)
        return self._said(request, form, notice)

    def expire(self, request: Request) -> Response:
        form = form_of(request, self._hosts)
        if isinstance(form, Response):
            return form
        holder = form.holder_who_may(May.SILENCE)
        silence = expired(self._sources, request.path_params["name"], holder.name)
        by = f"by {silence.expired_by}" if silence.expired_by else "by itself"
        return self._said(request, form, Notice(f"{silence.name} has ended, {by}", done=True))

    def _said(self, request: Request, form: Form, notice: Notice) -> Response:
        return go_on(request, form.back, self._sessions.say(form.viewer.session, notice))


def _became(outcome: Outcome) -> Notice:
    if outcome.result is Result.REFUSED:
        return Notice(f"Nothing was changed: {outcome.sentence}", done=False)
    return Notice(outcome.sentence, done=True)


def _unwritten(error: StoreError) -> Notice:
    return Notice(
        f"Nothing was changed: {error}. Try again, or see what the disk of the store lacks.", done=False
    )


def _kind(form: Form) -> ActionKind:
    value = form.fields.get("action")
    if value not in set(ActionKind):
        raise wrong("action", value, f"use {' or '.join(ActionKind)}")
    return ActionKind(value)


def _note(form: Form) -> str:
    value = form.fields.get("note", "")
    if len(value) > MOST_NOTE:
        raise wrong("note", value, f"use at most {MOST_NOTE} characters")
    return one_line(value, MOST_NOTE)


def _for_s(form: Form) -> float | None:
    value = form.fields.get("for", "")
    if value == UNTIL_RESOLVED:
        return None
    try:
        return parse_duration_s(value)
    except ValueError as error:
        raise wrong("for", value, f'use a duration such as "2h", or "{UNTIL_RESOLVED}"') from error


def _worst(form: Form) -> Level | None:
    value = form.fields.get("worse", "")
    if value and value not in _WORST:
        raise wrong("worse", value, f"use {' or '.join(_WORST)}, or leave it out")
    return Level.from_word(value) if value else None
