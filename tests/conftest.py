"""Fixtures: real servers and fresh databases. See tests/support for the helpers."""

import platform
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import copy

import psycopg
import pytest

from daemon.demo.fake_slack import FakeSlack
from pgvigil.scratch.server import ScratchServer
from pgvigil.store import Store
from tests.support import disks, frozen, poolers, reporting, servers
from tests.support.vitals import Vitals


def pytest_configure() -> None:
    """A script that starts the tests in its background has them ignore SIGINT, and so would all that they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    found = ", ".join(f"{each.version} ({each.bindir})" for each in servers.installations())
    libpq = psycopg.pq.version_pretty(psycopg.pq.version())
    return [
        f"driver: psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), libpq {libpq}, Python {platform.python_version()}",
        f"servers: {', '.join(servers.names())}; installed: {found or 'none'}",
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reporting.summarise(terminalreporter)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for minutes goes first, so that with several workers none of it is left to one at the end."""
    items.sort(key=lambda item: {"scenes", "demo"}.isdisjoint(item.path.parts))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "each_server" in metafunc.fixturenames:
        metafunc.parametrize("each_server", servers.names(), indirect=True, scope="session")


@pytest.fixture(scope="session")
def server_pool() -> Iterator[servers.Pool]:
    pool = servers.Pool()
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def server(server_pool: servers.Pool) -> servers.Server:
    """One real server that all tests share: never stop it, never change its settings."""
    return server_pool.get(servers.names()[0])


@pytest.fixture(scope="session")
def each_server(request: pytest.FixtureRequest, server_pool: servers.Pool) -> servers.Server:
    """The test runs once per version that this machine has (ids pg18, pg15 ...)."""
    return server_pool.get(request.param)


@pytest.fixture
def database(server: servers.Server) -> Iterator[servers.Database]:
    """A fresh database on the shared server."""
    with servers.fresh_database(server) as fresh:
        yield fresh


@pytest.fixture
def each_database(each_server: servers.Server) -> Iterator[servers.Database]:
    """A fresh database on each version that this machine has."""
    with servers.fresh_database(each_server) as fresh:
        yield fresh


@pytest.fixture
def start_server() -> Iterator[servers.StartServer]:
    """`start_server(major=None, settings={...}, password=...)`: private servers, closed at the end."""
    with servers.server_starter() as start:
        yield start


@pytest.fixture
def own_server(start_server: servers.StartServer) -> ScratchServer:
    """A private server for tests that stop, freeze, kill or reconfigure it."""
    return start_server()


@pytest.fixture
def start_pooler() -> Iterator[poolers.StartPooler]:
    """`start_pooler({"shop": poolers.line(dsn)}, pool_mode="transaction")`: a PgBouncer, stopped at the end."""
    with poolers.pooler_starter() as start:
        yield start


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    """A running fake Slack with the channel #db-oncall."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with FakeSlack() as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "pgvigil.db"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store; copying it is quicker than making each test's own."""
    made = tmp_path_factory.mktemp("migrated") / "pgvigil.db"
    Store.open(f"sqlite:///{made}").close()
    return made


@pytest.fixture
def store(migrated: Path, path: Path) -> Iterator[Store]:
    """A store in a file, as a daemon opens it."""
    opened = Store.open(f"sqlite:///{copy(migrated, path)}")
    yield opened
    opened.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 2 MB."""
    with disks.small_disk() as folder:
        yield folder


@pytest.fixture
def disk() -> Iterator[frozen.Disk]:
    """A file system that can be frozen."""
    with frozen.freezable_disk() as made:
        yield made


@pytest.fixture
def vitals(store: Store) -> Callable[..., Vitals]:
    """`vitals({"deadlocks": {}})` watches one server with these rules, on a clock that the test moves."""
    return partial(Vitals, store)
