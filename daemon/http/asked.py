"""What is asked of the API with a body: who asks, whether they may, and what of it is wrong."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from daemon.http.origins import same
from daemon.http.tokens import Holder, May

MOST_PATTERNS = 50
MOST_PATTERN = 300
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def holder_who_may(do: May, request: Request) -> Holder:
    """Who acts. Raises 401 without a token that has a name, 403 where it may not, or where the page is another's."""
    origin = request.headers.get("origin")
    if origin is not None and not same(origin, request.headers.get("host", "")):
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


def only(asked: Mapping[str, Any], keys: Collection[str]) -> None:
    """Raises 400 for a key that is none of these."""
    for key, value in asked.items():
        if key not in keys:
            raise wrong(key, value, f"unknown key; use {', '.join(keys)}")


def wrong(key: str, value: Any, fix: str) -> HTTPException:
    """In ASCII: what was sent may hold halves of characters, which no answer can."""
    shown = json.dumps(value)
    return HTTPException(400, f"{json.dumps(key[:60])} is {shown[:80]}{'…' * (len(shown) > 80)}: {fix}")


def id_in(value: Any) -> str:
    """An id that whoever asks has chosen, so that asking again does nothing twice."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise wrong("id", value, "use 1 to 64 letters, digits and _ . : -, or leave it out")
    return value


def matchers_in(value: Any) -> list[tuple[str, str]]:
    """Keys and patterns, of which there is at least one."""
    fix = 'use an object of patterns such as {"rule": "blocking_chain", "target": ["orders-*", "billing"]}'
    if not isinstance(value, dict):
        raise wrong("match", value, fix)
    pairs = [
        (key, each) for key, some in value.items() for each in (some if isinstance(some, list) else [some])
    ]
    fits = all(isinstance(each, str) and len(each) <= MOST_PATTERN for pair in pairs for each in pair)
    if not pairs or len(pairs) > MOST_PATTERNS or not fits or len({key for key, _ in pairs}) != len(value):
        raise wrong("match", value, fix)
    return pairs
