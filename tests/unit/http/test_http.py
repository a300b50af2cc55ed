"""What the HTTP port answers, asked over a real socket."""

import base64
import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from daemon.http import connections
from daemon.http.app import build
from daemon.http.auth import Keys
from daemon.http.probes import MOST_SCRAPES
from daemon.http.server import HttpServer, bind
from pgvigil.problems import SetupError
from tests.support.views import down_view, incident, view
from tests.support.web import World, own_names, serving


@pytest.fixture
def world() -> Iterator[World]:
    with serving() as world:
        yield world


def test_health_fails_when_a_loop_is_stuck_and_never_because_of_a_target(world: World) -> None:
    world.board.publish(down_view())
    assert world.get("/healthz")[0] == 200
    world.stuck_s = 6.0
    status, text = _until(world, "/healthz", 503)
    assert (status, text) == (503, "writer\n")
    world.stuck_s = 0.0
    assert _until(world, "/healthz", 200)[0] == 200


def _until(world: World, path: str, wanted: int) -> tuple[int, str]:
    for _ in range(2000):
        status, text, _headers = world.get(path)
        if status == wanted:
            break
    return status, text


def test_ready_once_each_target_was_tried_and_the_store_can_be_written(world: World) -> None:
    """A failed try counts: a dead database must not keep the daemon from being ready."""
    assert world.get("/readyz")[:2] == (503, "target orders-prod not tried yet\n")
    world.board.publish(down_view())
    assert world.get("/readyz")[0] == 200
    world.writable = False
    assert world.get("/readyz")[:2] == (503, "the store cannot be written\n")


def test_metrics_come_plain_and_packed(world: World) -> None:
    world.board.publish(view())
    status, text, headers = world.get("/metrics")
    assert status == 200
    assert 'pgvigil_target_up{target="orders-prod"} 1.0' in text
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    packed = world.get("/metrics", **{"Accept-Encoding": "gzip"})[1].encode("utf-8", "surrogateescape")
    assert gzip.decompress(packed).decode() == text


def test_lists_stand_under_their_plural_name(world: World) -> None:
    world.board.publish(view())
    for plural in ("targets", "incidents", "statements"):
        answer = json.loads(world.get(f"/api/v1/{plural}")[1])
        assert list(answer) == [plural]
        assert answer[plural]


def test_an_incident_has_the_promised_keys(world: World) -> None:
    one = json.loads(world.get("/api/v1/incidents/INC-7")[1])
    promised = "id rule target database subject severity state marks since summary evidence actions"
    assert set(promised.split()) <= set(one)
    assert one["id"] == "INC-7"
    assert one["actions"][0]["sql"].startswith("SELECT")


def test_incidents_are_filtered(world: World) -> None:
    assert [i["id"] for i in json.loads(world.get("/api/v1/incidents?state=open")[1])["incidents"]] == [
        "INC-7"
    ]
    assert json.loads(world.get("/api/v1/incidents?target=other")[1]) == {"incidents": []}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/incidents?state=sad", 400),
        ("/api/v1/incidents?limit=0", 400),
        ("/api/v1/incidents?limit=" + "9" * 5000, 400),
        ("/api/v1/incidents/INC-9", 404),
        ("/api/v1/incidents/INC-99999999999999999999", 404),
        ("/nothing", 404),
    ],
)
def test_bad_requests_get_an_error_that_says_why(world: World, path: str, status: int) -> None:
    got, text, _ = world.get(path)
    assert got == status
    assert json.loads(text)["error"]


def test_queryid_is_a_string_in_json(world: World) -> None:
    """A 64-bit id does not survive a JSON number in most readers."""
    world.board.publish(view())
    rows = json.loads(world.get("/api/v1/statements")[1])["statements"]
    assert rows[0]["queryid"] == "-42"


def test_hostile_text_is_shown_and_not_run(world: World) -> None:
    hostile = "<script>alert(1)</script>"
    world.board.publish(view(name=hostile, databases=(hostile,), incidents=(incident(summary=hostile),)))
    status, text, headers = world.get("/")
    assert status == 200
    assert hostile not in text
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in headers["content-security-policy"]


def test_the_page_says_unknown_rather_than_zero(world: World) -> None:
    world.board.publish(down_view(incidents=()))
    text = world.get("/")[1]
    assert "</span> down</span>" in text
    assert "refused: connection refused" in text
    assert '<td data-label="Waiting">unknown</td>' in text
    assert '<td data-label="Connections">unknown</td>' in text
    assert "None. Not all targets can be judged" in text


def test_a_page_without_a_past_says_so(world: World) -> None:
    """The store cannot be read; what is known of now is shown all the same."""
    world.writable = False
    world.board.publish(view())
    status, text, _ = world.get("/")
    assert status == 200
    assert "Unknown: the store cannot be read." in text
    assert "23 sessions blocked" in text


def test_people_get_errors_as_a_page_and_programs_as_json(world: World) -> None:
    status, text, _ = world.get("/incidents/INC-404", Accept="text/html,*/*")
    assert status == 404
    assert "<p>there is no incident INC-404</p>" in text
    for path, accept in (("/incidents/INC-404", "*/*"), ("/api/v1/incidents/INC-404", "text/html")):
        status, text, _ = world.get(path, Accept=accept)
        assert (status, json.loads(text)) == (404, {"error": "there is no incident INC-404"})


def test_a_target_that_went_and_an_incident_of_it_do_not_break_its_page(world: World) -> None:
    status, text, _ = world.get("/incidents/INC-7")
    assert status == 200
    assert "Its target is no longer watched." in text
    assert world.get("/targets/orders-prod")[0] == 404


def test_many_who_look_at_once_see_one_rendering(world: World) -> None:
    world.board.publish(view())
    before = world.get("/")[1]
    world.board.publish(view(incidents=()))
    assert world.get("/")[1] == before
    world.publish()
    assert "None." in world.get("/")[1]


def test_the_page_links_to_grafana(world: World) -> None:
    assert '<a href="https://grafana.example.com" rel="noreferrer">Grafana</a>' in world.get("/")[1]


def test_an_address_in_use_is_a_setup_error() -> None:
    with bind("127.0.0.1:0") as taken, pytest.raises(SetupError, match="Cannot listen on"):
        bind(f"127.0.0.1:{taken.getsockname()[1]}")


def test_with_a_token_api_and_page_ask_for_it_and_probes_do_not(world: World) -> None:
    """Bearer for programs, Basic for browsers; a wrong or malformed one is refused, never a 500."""
    gated = HttpServer(build(world.sources, own_names, lambda: Keys("s3cret-token")), bind("127.0.0.1:0"))
    gated.start()
    world.url = gated.url
    try:
        basic = base64.b64encode(b"anyone:s3cret-token").decode()
        for good in ("Bearer s3cret-token", f"Basic {basic}"):
            assert world.get("/api/v1/targets", Authorization=good)[0] == 200
        for bad in (
            "",
            "Bearer",
            "Bearer wrong",
            "Basic !!!",
            "Basic " + base64.b64encode(b"x").decode(),
            "Digest x",
        ):
            status, text, _ = world.get("/", Authorization=bad)
            assert (status, json.loads(text)) == (401, {"error": "a token is needed"})
        assert [world.get(path)[0] for path in ("/metrics", "/healthz")] == [200, 200]
    finally:
        gated.stop()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: pgvigil\r\n"], ids=["silent", "half"])
def test_probes_are_answered_beside_many_that_ask_for_nothing(world: World, sent: bytes) -> None:
    """Connections that never finish a request lose their places to those that do."""
    with ExitStack() as stack:
        for _ in range(2 * connections.MOST):
            stack.enter_context(_connected(world)).sendall(sent)
        for path in ("/healthz", "/metrics", "/readyz", "/healthz"):
            assert world.get(path)[1] != "Service Unavailable"
        assert world.get("/healthz")[0] == 200


def test_a_request_that_does_not_come_ends_the_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one, and also a second one that stops half-way."""
    monkeypatch.setattr(connections, "HEAD_LIMIT_S", 0.2)
    for first in (b"", b"GET /healthz HTTP/1.1\r\nHost: pgvigil\r\n\r\n"):
        with _connected(world) as client:
            client.sendall(first)
            answered = b""
            while first and not answered.endswith(b"ok\n"):
                answered += client.recv(4096)
            client.sendall(b"GET / HTTP/1.1\r\n")
            with suppress(ConnectionResetError):
                assert client.recv(4096) == b""


def test_probes_are_answered_beside_many_pages(world: World) -> None:
    """Pages that take long are turned away from some number on; health and metrics are not."""
    release = threading.Event()
    world.hold = release
    request = b"GET /api/v1/incidents HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        clients = [stack.enter_context(_connected(world)) for _ in range(100)]
        try:
            for client in clients:
                client.sendall(request)
            assert clients[-1].recv(4096).startswith(b"HTTP/1.1 503")
            assert world.get("/healthz")[0] == 200
            assert world.get("/metrics")[0] == 200
        finally:
            release.set()
        assert clients[0].recv(4096).startswith(b"HTTP/1.1 200")


def test_health_is_answered_beside_many_scrapes(world: World) -> None:
    """Scrapes that take long are turned away from some number on."""
    release = world.hold_metrics = threading.Event()
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        clients = [stack.enter_context(_connected(world)) for _ in range(2 * MOST_SCRAPES)]
        try:
            for client in clients:
                client.sendall(request)
            assert clients[-1].recv(4096).startswith(b"HTTP/1.1 503")
            assert world.get("/healthz")[0] == 200
        finally:
            release.set()
        assert clients[0].recv(4096).startswith(b"HTTP/1.1 200")
    assert world.get("/metrics")[0] == 200


def _connected(world: World) -> socket.socket:
    host, _, port = world.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


@pytest.mark.parametrize("path", ["/", "/api/v1/targets", "/metrics", "/healthz", "/nothing", "/static/x/y"])
def test_every_answer_tells_the_browser_to_trust_nothing(world: World, path: str) -> None:
    headers = {name.lower(): value for name, value in world.get(path)[2].items()}
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_refusals_have_the_same_headers(world: World) -> None:
    refused = world.get("/", Host="evil.example")
    assert refused[0] == 421
    assert "default-src 'none'" in refused[2]["content-security-policy"]


def test_own_files_are_kept_by_browsers_until_they_change(world: World) -> None:
    (version,) = set(re.findall(r"static/([0-9a-f]{12})/", world.get("/")[1]))
    for name, kind in (("pgvigil.css", "text/css"), ("refresh.js", "text/javascript")):
        status, text, headers = world.get(f"/static/{version}/{name}")
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
        assert "immutable" in headers["cache-control"]
        assert "immutable" not in world.get(f"/static/000000000000/{name}")[2]["cache-control"]
        assert text


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01" + bytes(50),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["tls", "websocket"],
)
def test_what_strangers_send_is_answered_and_fills_no_log(
    world: World, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Uvicorn would warn of each, and advise to install a package."""
    host, port = world.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(sent)
        assert client.recv(100).startswith(b"HTTP/1.1 ")
    assert world.get("/healthz")[0] == 200
    assert caplog.records == []


def test_a_state_that_is_none_is_named_as_it_was_asked_for(world: World) -> None:
    status, text, _headers = world.get("/api/v1/incidents?state=reopened")
    assert status == 400
    assert "'reopened' is not a valid State" in text
