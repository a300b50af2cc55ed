"""`POST /receivers/{name}`: what a sink's destination sends when somebody presses a button there."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon.http.sources import Sources
from pgvigil.receiver import NotGenuineError

MOST_RECEIVED_BYTES = 262_144  # Slack sends the message with the press


class Receiving:
    """The endpoint; `request.state.body` is what was sent. What it asks for is done after the answer."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def take(self, request: Request) -> Response:
        receiver = self._sources.receivers().get(request.path_params["name"])
        if receiver is None:
            raise HTTPException(404, "nothing hears here")
        try:
            answer = receiver.take(dict(request.headers), request.state.body)
        except NotGenuineError as error:
            raise HTTPException(403, str(error)) from error
        except BlockingIOError as error:
            raise HTTPException(503, "too many presses at once") from error
        return Response(status_code=200) if answer is None else JSONResponse(dict(answer))
