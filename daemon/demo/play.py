"""`pgvigil demo`: a server, an application, pgvigil and a Slack, all on this machine and gone afterwards."""

import contextlib
import http.client
import json
import math
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from daemon import logs
from daemon.demo import configuration, shop, story
from daemon.demo.director import Director
from daemon.demo.fake_slack import TOKEN, FakeSlack
from daemon.demo.screen import Screen
from daemon.demo.workload import SHAPES, Workload
from daemon.settings import load
from daemon.wiring import Daemon
from pgvigil.postgres import plain
from pgvigil.problems import Problem, SetupError
from pgvigil.scratch import binaries, tidy
from pgvigil.scratch.binaries import Binaries
from pgvigil.scratch.errors import NoBinariesError
from pgvigil.scratch.guard import GUARD
from pgvigil.scratch.server import ScratchServer
from pgvigil.sql.grants import Tier, grants

_ROLE = "pgvigil"
_LOG_TAIL_LINES = 20
_SERVER_SETTINGS = {
    "max_parallel_workers_per_gather": "0",  # one plan for everybody, whatever the machine
    "track_io_timing": "on",
    "max_connections": "60",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """Incidents of the whole demo."""

    fired: int
    resolved: int


def play(console: Console, seconds: float | None) -> Tally:
    """Play until `seconds` have passed (None: until SIGINT or SIGTERM) and leave nothing behind.

    Raises SetupError where this machine has no PostgreSQL server that could be used.
    """
    deadline_s = time.monotonic() + (math.inf if seconds is None else seconds)
    screen = Screen(console)
    with _stop_on_signals() as stop, contextlib.ExitStack() as stack:
        directory = stack.enter_context(_directory())
        stack.enter_context(_log_to(directory / "pgvigil.log", screen))
        password = secrets.token_urlsafe(18)  # of the monitoring role
        server = _server(stack, screen, password)
        shop_dsn = server.dsn(shop.DATABASE)
        workload = Workload(shop_dsn)
        workload.start()
        stack.callback(workload.stop)
        slack = stack.enter_context(FakeSlack((configuration.CHANNEL,)))
        slack.on_change(screen.slack)
        daemon = _daemon(directory, server, slack, password)
        stack.callback(daemon.stop)
        daemon.start()
        _introduce(screen, daemon.url, directory)
        Director(story.scenes(server, shop_dsn), daemon.board, screen, stop, deadline_s).play()
        screen.say(f"The end: the shop made {workload.calls} calls. Everything is being stopped and removed.")
        return _tally(daemon.url)


def _server(stack: contextlib.ExitStack, screen: Screen, password: str) -> ScratchServer:
    installation = _binaries()
    server = stack.enter_context(
        ScratchServer.start(installation, settings=_SERVER_SETTINGS, password=secrets.token_urlsafe(18))
    )
    screen.say(
        f"PostgreSQL {installation.version} runs on port {server.port}; filling the database `{shop.DATABASE}`."
    )
    shop_dsn = server.dsn(shop.DATABASE)
    shop.create(server.dsn(), shop_dsn)
    with plain.connect(server.dsn(), application_name="demo") as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        _grant(connection)
        verifier = connection.pgconn.encrypt_password(password.encode(), _ROLE.encode())
        connection.execute(f"ALTER ROLE {_ROLE} PASSWORD '{verifier.decode()}'".encode())
    with plain.connect(shop_dsn, application_name="demo") as connection:
        _grant(connection)
    screen.say(
        f"{shop.rows(shop_dsn):,} rows; people buy: {len(SHAPES)} kinds of statement, some 200 a second."
    )
    return server


def _grant(connection: plain.Connection) -> None:
    """What `pgvigil grants` prints, so that the demo has no set-up problem of its own."""
    for grant in grants(Tier.WATCH, _ROLE):
        connection.execute(grant.sql.encode())


def _binaries() -> Binaries:
    try:
        return binaries.best()
    except NoBinariesError as error:
        problem = Problem(
            slug="no-postgresql-server",
            sentence="The demo needs a PostgreSQL server's programs, and this machine has none that can be used.",
            fix="Install pgvigil with its demo extra (pip install 'pgvigil[demo]'), or your system's PostgreSQL server.",
        )
        raise SetupError(problem) from error


def _daemon(directory: Path, server: ScratchServer, slack: FakeSlack, password: str) -> Daemon:
    listen = f"127.0.0.1:{_port()}"
    places = configuration.Places(
        directory=directory,
        listen=listen,
        public_url=f"http://{listen}",
        target_dsn=f"host=127.0.0.1 port={server.port} dbname=postgres user={_ROLE}",
        slack_url=slack.url,
    )
    return Daemon(load(configuration.write(places, password=password, slack_token=TOKEN), {}))


def _port() -> int:
    """The usual port of pgvigil where it is free, else any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 9642))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _introduce(screen: Screen, url: str, directory: Path) -> None:
    screen.say("pgvigil is watching.")
    screen.links(
        {
            "page": f"{url}/",
            "metrics": f"{url}/metrics",
            "incidents": f"{url}/api/v1/incidents",
            "targets": f"{url}/api/v1/targets",
            "health": f"{url}/healthz",
            "files": f"{directory}/pgvigil.toml, pgvigil.log",
        }
    )


def _tally(url: str) -> Tally:
    """Counted where people would look: the API."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request("GET", "/api/v1/incidents?limit=1000")
        incidents = json.load(connection.getresponse())["incidents"]
    finally:
        connection.close()
    fired = [incident for incident in incidents if incident["fired_at"] is not None]
    return Tally(len(fired), sum(incident["state"] == "resolved" for incident in fired))


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """For configuration, secrets and store; removed afterwards, also if we are killed."""
    directory = Path(tempfile.mkdtemp(prefix="pgvigil-demo-"))
    GUARD.protect(directory, lambda: tidy.remove(directory))
    try:
        yield directory
    finally:
        tidy.remove(directory)
        GUARD.release(directory)


@contextlib.contextmanager
def _log_to(file: Path, screen: Screen) -> Iterator[None]:
    """The screen belongs to the story; when that breaks off, the end of the log says more."""
    with file.open("ab") as log:
        close = logs.configure("console", "info", log.fileno())
        try:
            yield
        except Exception:
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]:
                screen.say(line)
            raise
        finally:
            close()


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM ask for the end; a second SIGINT does not wait for anything."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
