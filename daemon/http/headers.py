"""What every answer tells the browser: load nothing from elsewhere, run nothing that stands in a text."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "connect-src 'self'",  # the page asks for itself again
    "img-src 'self'",
    "form-action 'self'",  # the filter, and what people do
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
_HEADERS = (
    (b"content-security-policy", "; ".join(_POLICY).encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with "no-referrer" browsers hide the Origin of our own forms, too
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
)
_NOT_KEPT = (b"cache-control", b"no-store")


class SafeHeaders:
    """Around everything else, so that refusals and errors have them too. What does not say otherwise is not cached."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                kept = () if any(name == b"cache-control" for name, _ in own) else (_NOT_KEPT,)
                message = {**message, "headers": [*own, *_HEADERS, *kept]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
