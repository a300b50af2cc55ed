"""Whether a request was made by a page of pgvigil itself: the browser says so, and no script can change its word."""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request

from daemon.http.hosts import Hosts

_OWN = ("same-origin", "none")  # none: by hand, such as a reload


def same(origin: str, host: str) -> bool:
    """Whether `origin` is of the host that was asked."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:  # half an IPv6 address
        return False


def own_page(request: Request, hosts: Callable[[], Hosts]) -> bool:
    """Sec-Fetch-Site counts where there is one (https, and addresses of this machine); else Origin, which every browser
    sends with a form. Of a proxy that asks by another name, the one in `public_url` counts too.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN
    origin = request.headers.get("origin", "")
    return same(origin, request.headers.get("host", "")) or hosts().public(origin)


def by_tls(request: Request) -> bool:
    """Whether the browser came by https, perhaps to a proxy. Whoever lies about it harms only the own cookie."""
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return "https" in (request.scope["scheme"], forwarded) or request.headers.get("origin", "").startswith(
        "https:"
    )
