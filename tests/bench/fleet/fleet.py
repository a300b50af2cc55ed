"""Two hundred targets on one machine: some are databases of a real server, the others answer as that did."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from daemon.demo.fake_slack import FakeSlack
from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer
from tests.bench.wide import fill
from tests.support.fakes import Fakes, fakes_of

ENTRIES = 5_000
_SETTINGS = {"pg_stat_statements.max": "7000", "shared_buffers": "256MB", "max_connections": "250"}
_SESSIONS = 30  # of applications, on the real server and so on every fake
_USER = "pgvigil"
_SINK = """
[sinks.oncall]
kind = "slack"
token_file = "{token}"
channel = "#db-oncall"
base_url = "{slack}"
[[routes]]
sinks = ["oncall"]
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """`ports` are those of the fakes, by the target's name."""

    server: ScratchServer
    fakes: Fakes
    slack: FakeSlack
    token: Path
    ports: Mapping[str, int]
    real: Sequence[str]

    @property
    def targets(self) -> tuple[str, ...]:
        return (*self.real, *self.ports)

    def section(self, name: str) -> str:
        """A target's section of the configuration."""
        port = self.ports.get(name, self.server.port)
        database = "app" if name in self.ports else name
        dsn = f"host=127.0.0.1 port={port} dbname={database} user={_USER}"
        only = "" if name in self.ports else f'databases = ["{name}"]\n'
        return f'\n[[targets]]\nname = "{name}"\ndsn = "{dsn}"\n{only}'

    def config(self, head: str = "") -> str:
        """Keys of the daemon's section, then every target, and the Slack."""
        targets = "".join(map(self.section, self.targets))
        return head + targets + _SINK.format(token=self.token, slack=self.slack.url)


@contextmanager
def fleet(place: Path, *, real: int, fake: int) -> Iterator[Fleet]:
    """Everything runs, and nothing watches it yet."""
    with ExitStack() as stack:
        server = stack.enter_context(ScratchServer.start(binaries.best(), settings=_SETTINGS))
        _prepare(server)
        for number in range(_SESSIONS):
            stack.enter_context(_session(server.dsn("app"), number))
        fakes = stack.enter_context(fakes_of(server.port))
        fakes.record("app", _USER)
        names = [f"real{number:03}" for number in range(real)]
        _create(server, names)  # not before: each fake would have all of them, too
        slack = stack.enter_context(FakeSlack())
        token = place / "token"
        token.write_text(slack.token, encoding="utf-8")
        ports = {f"fake{number:03}": port for number, port in enumerate(fakes.serve(fake))}
        yield Fleet(server=server, fakes=fakes, slack=slack, token=token, ports=ports, real=names)


def _prepare(server: ScratchServer) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {_USER} LOGIN IN ROLE pg_monitor")
        admin.execute("CREATE DATABASE app")
        admin.execute("CREATE DATABASE reports")
    fill(server.dsn("app"), ENTRIES)


def _create(server: ScratchServer, databases: Sequence[str]) -> None:
    for name in databases:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}")
        with psycopg.connect(server.dsn(name), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")


@contextmanager
def _session(dsn: str, number: int) -> Iterator[None]:
    """Every fifth works, the others have done something and are idle."""
    with closing(psycopg.connect(dsn, autocommit=True, application_name=f"shop-{number % 4}")) as session:
        if number % 5 == 0:
            session.pgconn.send_query(b"SELECT pg_sleep(7200)")
        else:
            session.execute("SELECT 1")
        yield
