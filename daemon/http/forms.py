"""What a form of the page sends, and whether it was one of ours: from a page of pgvigil, and of this very session."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from daemon.http.hosts import Hosts
from daemon.http.origins import own_page
from daemon.http.places import login_at, place_in
from daemon.http.rendering import viewer_of
from daemon.http.sessions import Viewer
from daemon.http.tokens import Holder, May

MOST_FIELDS = 20
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """A form of somebody who is logged in. `back` is the page on which it stood."""

    viewer: Viewer
    fields: Mapping[str, str]

    @property
    def back(self) -> str:
        return place_in(self.fields.get("back", ""))

    def holder_who_may(self, do: May) -> Holder:
        """Raises 403."""
        holder = self.viewer.holder
        if do not in holder.may:
            raise HTTPException(
                403,
                f'The token {holder.name} may not. Nothing was changed. Add "{do}" to its `may` in [[tokens]] of the'
                " configuration and reload it, or log in with another token.",
            )
        return holder


def fields_in(request: Request, hosts: Callable[[], Hosts]) -> Mapping[str, str]:
    """What was sent by a page of pgvigil. Raises 403 for any other, 415 and 400 for what is no form."""
    if not own_page(request, hosts):
        raise HTTPException(
            403,
            "A page of another origin may not act here. Nothing was changed. If this was pgvigil's own page, behind a"
            " proxy: have the proxy pass the Host header on, or set public_url in [daemon] of the configuration.",
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415, f"The page's forms are sent as {_FORM}; programs use the API with a token.")
    try:
        pairs = parse_qsl(
            request.state.body.decode("ascii", "replace"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="replace",
        )
    except ValueError as error:
        raise HTTPException(400, f"A form has at most {MOST_FIELDS} fields: load the page again.") from error
    return dict(pairs)


def form_of(request: Request, hosts: Callable[[], Hosts]) -> Form | Response:
    """The form, or the way to the log-in for who is not logged in any more. Raises 403, 415, 400."""
    fields, viewer = fields_in(request, hosts), viewer_of(request)
    if not isinstance(viewer, Viewer):
        return RedirectResponse(login_at(request, place_in(fields.get("back", "")), unsent="1"), 303)
    if not viewer.sent(fields.get("form", "")):
        raise HTTPException(
            403,
            "This form is of another session. Nothing was changed. Go back, load the page again, and press again.",
        )
    return Form(viewer, fields)
