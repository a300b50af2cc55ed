"""What is asked of the API with a body: who asks, whether they may, and what of it is wrong."""

import json
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from daemon.http.tokens import Holder, May


def holder_who_may(do: May, request: Request) -> Holder:
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
    if do not in holder.may:
        raise HTTPException(
            403, f'the token {holder.name} may not; add "{do}" to its `may` in the configuration'
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


def object_in(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(
            400, 'the body is no JSON; send an object such as {"action": "acknowledge"}'
        ) from error
    if not isinstance(asked, dict):
        raise HTTPException(400, 'the body must be one JSON object, such as {"action": "acknowledge"}')
    return asked


def wrong(key: str, value: Any, fix: str) -> HTTPException:
    """In ASCII: what was sent may hold halves of characters, which no answer can."""
    shown = json.dumps(value)
    return HTTPException(400, f"{json.dumps(key[:60])} is {shown[:80]}{'…' * (len(shown) > 80)}: {fix}")
