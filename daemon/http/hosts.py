"""Which host names are answered to: a page of somebody else must not read this one through a name of its own.

A browser lets the script of `http://evil.example` read what `http://evil.example` answers. Whoever owns that name can
let it point to 127.0.0.1, or into the network, a moment later (DNS rebinding), and then reads whatever answers there.
Such a request still carries the name in its Host header, and that is what is looked at here.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.http.auth import OPEN_PATHS

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{0,5})?")


def host_of(header: str) -> str | None:
    """The host in a Host header, lower case, without port, brackets and the root's dot; None where it is not one."""
    match = _HOST.fullmatch(header)
    return plain(match[1] or match[2]) if match else None


def plain(host: str) -> str:
    """A host name in the one form that is compared."""
    return host.lower().removesuffix(".")


class Hosts:
    """The names that pgvigil goes by. An address needs no permission: nobody can make it point elsewhere."""

    def __init__(self, *, listen: str, public_url: str = "", allowed: Iterable[str] = ()) -> None:
        names = ("localhost", listen, _host_in(public_url), *allowed)
        self._names = frozenset(map(plain, names)) - {""}
        self._public = _origin_in(public_url)

    def __contains__(self, host: str) -> bool:
        return host in self._names or _is_address(host)

    def public(self, origin: str) -> bool:
        """Whether a page of that origin is pgvigil's, by the address that people use."""
        return self._public != "" and _origin_in(origin) == self._public


def _host_in(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # half an IPv6 address
        return ""


def _origin_in(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class HostGate:
    """Answers only to its own names. Probes and scrapers are let through: they come by many, and read no query."""

    def __init__(self, app: ASGIApp, hosts: Callable[[], Hosts]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        status, why = refusal
        await JSONResponse({"error": why}, status)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        if not scope["path"].startswith("/"):
            return 400, "the request target must be a path; pgvigil is no proxy"
        given = [value for name, value in scope["headers"] if name == b"host"]
        host = host_of(given[0].decode("latin-1")) if len(given) == 1 else None
        if host is None:
            return 400, "the request must have one Host header, with a host name or an address in it"
        if host in self._hosts():
            return None
        return 421, (
            f"pgvigil does not answer to the name {host!r}. If people are to reach it by this name, add it to"
            " allowed_hosts in [daemon] of the configuration, or make it the host of public_url"
        )
