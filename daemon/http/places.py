"""Addresses of the page, as one leads to another: relative, because a proxy may have put a path before them."""

import re
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

# One place below the root and its query: neither another host nor another folder can be written so.
_PLACE = re.compile(r"(?:(?:incidents|targets)/[\w.~%-]{1,300})?(?:\?[\w.~%&=+-]{0,400})?", re.ASCII)


def root_of(request: Request) -> str:
    """The way from the page that was asked for up to the first one; empty where that is the same folder."""
    path: str = request.scope["path"]
    return "../" * (path.count("/") - 1)


def here(request: Request) -> str:
    """The page that was asked for, as seen from the root, without what was to be said on it."""
    if request.method != "GET":
        return ""
    folder, _, name = request.scope["path"].removeprefix("/").partition("/")
    kept = [(key, value) for key, value in request.query_params.multi_items() if key in ("q", "target")]
    place = f"{folder}/{quote(name, safe='')}" if name else ""
    return place_in(place + (f"?{urlencode(kept)}" if kept else ""))


def place_in(text: str) -> str:
    """What a form says where to go on; anything else is the first page."""
    return text if _PLACE.fullmatch(text) else ""


def login_at(request: Request, back: str | None = None, **more: str) -> str:
    """The log-in, which leads back afterwards: to this page, or to `back`."""
    asked = {"back": here(request) if back is None else back, **more}
    query = urlencode({key: value for key, value in asked.items() if value})
    return f"{root_of(request)}login" + (f"?{query}" if query else "")


def go_on(request: Request, place: str, said: str = "") -> Response:
    """To `place`, asked for with GET, where the notice `said` is shown."""
    query = f"{'&' if '?' in place else '?'}said={said}" if said else ""
    return RedirectResponse(f"{root_of(request) or './'}{place}{query}", 303)
