"""The stage of the soak: two real servers, fakes, a Slack, and the daemon that watches them."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import psycopg

from daemon.demo.fake_slack import FakeSlack
from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer
from tests.bench.wide import fill
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.fakes import Fakes, fakes_of

# The shortest that there are, but for the constraints. One minute is five of two-hours-at-the-defaults for locks and
# availability, ten for the activity, sixty for the statements, a hundred and twenty for the constraints.
CONFIG = """
[collectors.availability]
interval = "1s"
[collectors.lock_waits]
interval = "1s"
[collectors.activity]
interval = "1s"
[collectors.statements]
interval = "1s"
[collectors.constraints]
interval = "5s"

[rules.target_down]
for = "5s"
[rules.blocking_chain]
warning = "2s"
critical = "1h"
keep_firing_for = "1s"
[rules.idle_in_transaction]
warning = "5s"
critical = "1h"
clear = "5s"
[rules.constraint_not_valid]
for = "2s"
[rules.collector_stale]
warning = 30
critical = 60
{sink}
[[routes]]
sinks = ["oncall"]
"""
TARGET = """
[[targets]]
name = "{name}"
dsn = "host=127.0.0.1 port={port} dbname={database} user=pgvigil"
"""
SHOP, AUX = "shop", "aux"  # the server that stays, and the one that goes and comes
DATABASES = ("shop0", "shop1", "shop2")
ROLES = ("frozen", "dead", "flapping", "slow", "calm0", "calm1", "calm2", "calm3")
STATEMENTS = 2_000
_SETTINGS = {"pg_stat_statements.max": "5000", "max_connections": "100"}

Episode = tuple[str, str]  # rule, target


@dataclass(slots=True)
class Stage:
    """`staged` counts the episodes that must be told: each fired once and resolved once."""

    main: ScratchServer
    aux: ScratchServer
    fakes: Fakes
    slack: FakeSlack
    sink: str
    ports: dict[str, int]
    newcomers: list[int]
    staged: Counter[Episode] = field(default_factory=Counter)
    _daemon: RunningDaemon | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def daemon(self) -> RunningDaemon:
        assert self._daemon is not None
        return self._daemon

    @property
    def newest(self) -> str:
        """The target that leaves next."""
        return next(name for name in self.ports if name.startswith("guest"))

    def incidents(self) -> list[dict[str, Any]]:
        """All of them, as the API tells; those that never fired are not counted."""
        found: list[dict[str, Any]] = json.loads(self.daemon.get("/api/v1/incidents?limit=1000")[1])[
            "incidents"
        ]
        return found

    def expect(self, rule: str, target: str) -> None:
        with self._lock:
            self.staged[rule, target] += 1

    def become(self, mode: str, name: str) -> None:
        with self._lock:
            self.fakes.become(mode, [self.ports[name]])

    def config(self) -> str:
        ports = {SHOP: self.main.port, AUX: self.aux.port, **self.ports}
        sections = [
            TARGET.format(name=name, port=port, database=DATABASES[0]) for name, port in ports.items()
        ]
        return "".join(sections) + CONFIG.format(sink=self.sink)

    def change_guests(self) -> None:
        """One target leaves the configuration, another comes, and the daemon is told."""
        del self.ports[self.newest]
        port = self.newcomers.pop()
        self.ports[f"guest{port}"] = port
        self.daemon.reload(self.config())


@contextmanager
def stage(place: Path, cycles: int) -> Iterator[Stage]:
    with ExitStack() as stack:
        best = binaries.best()
        main = stack.enter_context(ScratchServer.start(best, settings=_SETTINGS))
        aux = stack.enter_context(ScratchServer.start(best, settings=_SETTINGS))
        for server in (main, aux):
            _prepare(server)
            fill(server.dsn(DATABASES[0]), STATEMENTS)
        fakes = stack.enter_context(fakes_of(main.port))
        fakes.record(DATABASES[0], "pgvigil")
        slack = stack.enter_context(FakeSlack())
        ports = fakes.serve(len(ROLES) + 1 + cycles)
        roles = dict(zip(ROLES, ports, strict=False))
        guest, *newcomers = ports[len(ROLES) :]
        made = Stage(
            main=main,
            aux=aux,
            fakes=fakes,
            slack=slack,
            sink=oncall.sink(slack, place),
            ports={**roles, f"guest{guest}": guest},
            newcomers=newcomers,
        )
        (place / "run").mkdir()
        environment = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        made._daemon = stack.enter_context(running_daemon(place / "run", made.config(), environment))
        yield made


def _prepare(server: ScratchServer) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE ROLE pgvigil LOGIN IN ROLE pg_monitor")
        for name in DATABASES:
            admin.execute(f"CREATE DATABASE {name}")
    for name in DATABASES:
        with psycopg.connect(server.dsn(name), autocommit=True) as admin:
            admin.execute("CREATE TABLE customers (id int PRIMARY KEY)")
            admin.execute("CREATE TABLE orders (id int PRIMARY KEY, customer int)")
            admin.execute("INSERT INTO customers VALUES (1)")
            admin.execute("INSERT INTO orders VALUES (1, 1)")
