"""To whom API and page answer: a name that an attacker owns and points at this machine gets nothing."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from starlette.responses import PlainTextResponse

from daemon.http.hosts import HostGate, Hosts, host_of
from daemon.http.server import HttpServer, bind

HOSTS = Hosts(
    listen="db-mon.internal", public_url="https://PGVigil.example.com:8443/here", allowed=("Tunnel.example.",)
)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:9642", "localhost"),
        ("localhost.:80", "localhost"),
        ("127.0.0.1:", "127.0.0.1"),
        ("[::1]:9642", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("my_service.ns:1", "my_service.ns"),
        *((bad, None) for bad in ("", ":80", "a:b", "a b", "u@localhost", "localhost/", "http://localhost")),
        *(
            (bad, None)
            for bad in ("::1", "[localhost", "[]", "a,b", "localhost:123456", "é", "a\tb", "a\x00")
        ),
    ],
)
def test_a_host_header_is_read_strictly(header: str, host: str | None) -> None:
    assert host_of(header) == host


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost", True),
        ("db-mon.internal", True),
        ("pgvigil.example.com", True),
        ("tunnel.example", True),
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("::1", True),
        ("2001:db8::1", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("pgvigil.example.com.evil.example", False),
        ("2130706433", False),
        ("0x7f.1", False),
        ("127.1", False),
        ("", False),
    ],
)
def test_own_names_and_addresses_are_known_and_nothing_that_looks_like_them(host: str, known: bool) -> None:
    """An address cannot be made to point elsewhere; what only some programs read as one is not one."""
    assert (host in HOSTS) is known


def test_a_public_url_that_is_broken_allows_nothing() -> None:
    assert "evil.example" not in Hosts(listen="::1", public_url="http://[evil.example")


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    server = HttpServer(HostGate(PlainTextResponse("inside"), lambda: HOSTS), bind("127.0.0.1:0"))
    server.start()
    host, _, port = server.url.removeprefix("http://").partition(":")
    yield host, int(port)
    server.stop()


def ask(address: tuple[str, int], request: str) -> tuple[int, str]:
    """Status and body of the answer to exactly these bytes."""
    with socket.create_connection(address, timeout=10) as client, ExitStack() as stack:
        client.sendall(request.replace("\n", "\r\n").encode("latin-1"))
        answer = stack.enter_context(client.makefile("rb")).read()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def get(target: str, *headers: str, version: str = "1.1") -> str:
    return "\n".join((f"GET {target} HTTP/{version}", *headers, "Connection: close", "", ""))


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1", "[::1]", "PGVIGIL.example.com.", "tunnel.example:9"]
)
def test_known_names_are_let_in(address: tuple[str, int], host: str) -> None:
    assert ask(address, get("/", f"Host: {host}")) == (200, "inside")


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/incidents", "/static/x/y", "//healthz", "/healthz/", "/metricsx"]
)
def test_a_strange_name_is_told_which_key_would_allow_it(address: tuple[str, int], path: str) -> None:
    status, body = ask(address, get(path, "Host: evil.example:9642"))
    assert status == 421
    for word in ("'evil.example'", "allowed_hosts", "[daemon]", "public_url"):
        assert word in json.loads(body)["error"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/metrics?x=1"])
def test_probes_and_scrapers_come_by_any_name(address: tuple[str, int], path: str) -> None:
    assert ask(address, get(path, "Host: pgvigil.monitoring.svc.cluster.local")) == (200, "inside")


@pytest.mark.parametrize(
    "request_text",
    [
        get("/"),
        get("/", version="1.0"),
        get("/", "Host: "),
        get("/", "Host: localhost", "Host: evil.example"),
        get("/", "Host: localhost", "Host: localhost"),
        get("/", "Host: evil.example@localhost"),
        get("http://evil.example/", "Host: localhost"),
        get("http://localhost/", "Host: localhost"),
        get("http://localhost/healthz", "Host: localhost"),
        get("*", "Host: localhost"),
    ],
    ids=lambda text: text.replace("\n", " ")[:60],
)
def test_what_names_no_host_or_two_or_is_meant_for_a_proxy_is_refused(
    address: tuple[str, int], request_text: str
) -> None:
    status, body = ask(address, request_text)
    assert status == 400
    assert "inside" not in body


def test_names_of_others_in_forwarding_headers_count_for_nothing(address: tuple[str, int]) -> None:
    forwarded = ("X-Forwarded-Host: localhost", "Forwarded: host=localhost")
    assert ask(address, get("/", "Host: evil.example", *forwarded))[0] == 421


def test_the_address_that_people_use_is_an_origin_of_its_own_pages() -> None:
    """Behind a proxy that asks by another name; by the whole of scheme, name and port."""
    hosts = Hosts(listen="127.0.0.1", public_url="https://Ops.example.com/pgvigil")
    assert hosts.public("https://ops.example.com")
    others = (
        "http://ops.example.com",
        "https://ops.example.com:8443",
        "https://ops.example.com.evil",
        "null",
        "",
    )
    assert not any(map(hosts.public, (*others, "http://[")))
    assert not any(map(Hosts(listen="127.0.0.1").public, others))
