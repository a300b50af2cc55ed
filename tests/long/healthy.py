"""Silence on healthy servers: what they do all day, and nothing above info may be told of it.

    python -m tests.long.healthy [--minutes 2] [--majors 15 18] [--write]

For each version a primary, its standby and a daemon with default thresholds. Acts one after the other: an idle server,
pgbench reading and writing with readers on the standby, a bulk load, a nightly batch (reports that spill, an index
built concurrently, an UPDATE of a whole table), storms of VACUUM, partitions created every second, constraints added
NOT VALID and then validated, a restart. Collectors that come every ten minutes or more come every twenty seconds, so
that each act is seen many times; rules that wait for more than a minute wait for a minute.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from daemon.settings.plugins import Plugins
from pgvigil.scratch.server import ScratchServer
from pgvigil.sql.grants import Tier, script
from tests.bench.figures import Figure, hold, machine
from tests.support.daemons import ROOT, RunningDaemon, running_daemon
from tests.support.pairs import caught_up, start_pair
from tests.support.servers import server_starter
from tests.support.watching import psql

SUMMARY = ROOT / "docs" / "reference" / "soak-healthy.md"
_OFTEN_S = 20.0
_SHORTER = 30.0  # ten minutes are those twenty seconds
_SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "archive_mode": "on",
    "archive_command": "true",
    "max_wal_size": "2GB",
    "max_prepared_transactions": "10",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One version: a primary, its standby, and how long an act lasts."""

    primary: ScratchServer
    standby: ScratchServer
    act_s: float

    def bench(self, server: ScratchServer, *options: str) -> subprocess.Popen[bytes]:
        """Pgbench for as long as an act lasts."""
        command = [
            self.primary.binaries.program("pgbench"),
            *options,
            "-T",
            f"{self.act_s:.0f}",
            server.dsn("shop"),
        ]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @contextmanager
    def shop(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.primary.dsn("shop"), autocommit=True) as connection:
            yield connection

    def until_over(self, work: Callable[[], None]) -> None:
        """Do it again and again until the act is over."""
        ends_s = time.monotonic() + self.act_s
        while time.monotonic() < ends_s:
            work()


def idle(stage: Stage) -> None:
    """Nobody does anything."""
    time.sleep(stage.act_s)


def reading_and_writing(stage: Stage) -> None:
    """Eight clients write, four read from the standby."""
    at_work = [
        stage.bench(stage.primary, "-c", "8", "-j", "1", "--rate", "300"),
        stage.bench(stage.standby, "-n", "-S", "-c", "4", "--rate", "200"),
    ]
    assert [each.wait() for each in at_work] == [0, 0]


def bulk_load(stage: Stage) -> None:
    """COPY, a gigabyte or so, into a table that nobody has seen before."""
    with stage.shop() as connection:
        connection.execute("CREATE TABLE loaded (id bigint PRIMARY KEY, t text)")
        loaded = 0

        def load() -> None:
            nonlocal loaded
            with connection.cursor().copy("COPY loaded FROM STDIN") as copy:
                for row in range(loaded, loaded + 20_000):
                    copy.write_row((row, "x" * 200))
            loaded += 20_000

        stage.until_over(load)


def nightly_batch(stage: Stage) -> None:
    """Reports that spill, an UPDATE of everything in one transaction, an index built concurrently."""
    with stage.shop() as connection:
        connection.execute("SET work_mem = '1MB'")

        def batch() -> None:
            connection.execute(
                "SELECT count(*) FROM (SELECT * FROM pgbench_accounts ORDER BY filler, aid OFFSET 1) AS t"
            )
            connection.execute("UPDATE pgbench_accounts SET abalance = abalance + 1")
            connection.execute("CREATE INDEX CONCURRENTLY by_balance ON pgbench_accounts (abalance)")
            connection.execute("DROP INDEX CONCURRENTLY by_balance")
            connection.execute("VACUUM ANALYZE pgbench_accounts")

        stage.until_over(batch)


def vacuum_storm(stage: Stage) -> None:
    """Everything vacuumed and frozen while clients write."""
    at_work = stage.bench(stage.primary, "-n", "-c", "4", "--rate", "200")
    with stage.shop() as connection:

        def vacuum() -> None:
            connection.execute("VACUUM (FREEZE, ANALYZE)")

        stage.until_over(vacuum)
    assert at_work.wait() == 0


def partitions(stage: Stage) -> None:
    """One more every second, and the oldest dropped."""
    with stage.shop() as connection:
        connection.execute(
            "CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, n int NOT NULL, PRIMARY KEY (n, id))"
            " PARTITION BY RANGE (n)"
        )
        made = 0

        def make() -> None:
            nonlocal made
            connection.execute(
                f"CREATE TABLE events_{made} PARTITION OF events FOR VALUES FROM ({made}) TO ({made + 1})"
            )
            connection.execute(f"INSERT INTO events (n) SELECT {made} FROM generate_series(1, 1000)")
            if made >= 20:
                connection.execute(f"DROP TABLE events_{made - 20}")
            made += 1
            time.sleep(1)

        stage.until_over(make)


def constraints(stage: Stage) -> None:
    """Added NOT VALID, validated half a minute later, as a careful migration does."""
    with stage.shop() as connection:

        def add_and_validate() -> None:
            name = f"branch_{time.monotonic_ns()}"  # each is another migration's
            connection.execute(
                f"ALTER TABLE pgbench_accounts ADD CONSTRAINT {name} FOREIGN KEY (bid)"
                " REFERENCES pgbench_branches NOT VALID"
            )
            connection.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS by_branch ON pgbench_accounts (bid)")
            time.sleep(min(30.0, stage.act_s / 4))
            connection.execute(f"ALTER TABLE pgbench_accounts VALIDATE CONSTRAINT {name}")
            connection.execute(f"ALTER TABLE pgbench_accounts DROP CONSTRAINT {name}")

        stage.until_over(add_and_validate)


def restart(stage: Stage) -> None:
    """Both servers, one after the other, as for a minor update."""
    for server in (stage.standby, stage.primary):
        server.stop("fast")
        server.start_again()
    caught_up(stage.primary, stage.standby, deadline_s=300.0)
    time.sleep(stage.act_s / 2)


ACTS = (idle, reading_and_writing, bulk_load, nightly_batch, vacuum_storm, partitions, constraints, restart)


def configuration(stage: Stage, role: str) -> str:
    """Default thresholds; what comes seldom comes often, and what waits long waits shorter by as much."""
    plugins = Plugins.installed()
    lines = []
    for name, server in (("primary", stage.primary), ("standby", stage.standby)):
        dsn = json.dumps(server.dsn(user=role))
        lines.append(f'[[targets]]\nname = "{name}"\ndsn = {dsn}\ndisk_size = "200GB"')
    for name, collector in plugins.collectors.items():
        if collector.interval_s > _OFTEN_S and name != "statements":
            lines.append(f'[collectors.{name}]\ninterval = "{_OFTEN_S:.0f}s"')
    for name, rule in plugins.rules.items():
        if name != "threshold" and (for_s := rule.params().for_s) > 60:
            lines.append(f'[rules.{name}]\nfor = "{max(60.0, for_s / _SHORTER):.0f}s"')
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one version: what was told above info, and what as info."""

    major: int
    minutes: float
    loud: tuple[str, ...]
    info: tuple[str, ...]
    not_read: tuple[str, ...]


def play(major: int, act_s: float) -> Outcome:
    """All acts on one version."""
    began_s = time.monotonic()
    with ExitStack() as stack:
        start = stack.enter_context(server_starter())
        primary, standby = start_pair(lambda **options: start(major, **options), **_SETTINGS)
        stage = Stage(primary, standby, act_s)
        psql(primary.dsn(), script(Tier.WATCH, "pgvigil"))
        with psycopg.connect(primary.dsn(), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")
            admin.execute("CREATE DATABASE shop")
        subprocess.run(
            [primary.binaries.program("pgbench"), "-q", "-i", "-s", "20", primary.dsn("shop")],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        psql(primary.dsn("shop"), script(Tier.WATCH, "pgvigil"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        daemon = stack.enter_context(running_daemon(folder, configuration(stage, "pgvigil")))
        for act in ACTS:
            sys.stderr.write(f"pg{major}: {act.__name__}\n")
            act(stage)
            _report(daemon)
        time.sleep(min(60.0, act_s))  # for what waits a minute
        return _outcome(major, (time.monotonic() - began_s) / 60, daemon)


def _told(daemon: RunningDaemon) -> Iterator[tuple[str, str]]:
    """Worst severity and one line, of each incident that fired at all."""
    for each in daemon.incidents():
        if each["fired_at"] is not None:
            yield each["peak_severity"], f"{each['rule']} on {each['target']}: {each['summary']}"


def _report(daemon: RunningDaemon) -> None:
    for severity, line in _told(daemon):
        if severity != "info":
            sys.stderr.write(f"  {severity}: {line}\n")


def _outcome(major: int, minutes: float, daemon: RunningDaemon) -> Outcome:
    told = [*_told(daemon)]
    return Outcome(
        major=major,
        minutes=minutes,
        loud=tuple(f"{severity}: {line}" for severity, line in told if severity != "info"),
        info=tuple(sorted({line for severity, line in told if severity == "info"})),
        not_read=tuple(
            f"{target['name']}: {one['collector']}"
            for target in daemon.targets()
            for one in target["collectors"]
            if one["last_success_at"] is None
        ),
    )


def summary(outcomes: list[Outcome], act_s: float) -> str:
    """The page that is committed."""
    head = (
        "# Silence on healthy servers\n\n"
        "Written by `make soak-healthy` (`python -m tests.long.healthy --write`), which says what each act does."
        " Default thresholds; collectors that come every ten minutes or more came every"
        f" {_OFTEN_S:.0f} s; `for` was as much shorter (an hour was two minutes), and a minute at least.\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}; each act lasted {act_s / 60:.0f} min:"
        f" {', '.join(act.__name__.replace('_', ' ') for act in ACTS)}.\n"
    )
    parts = [
        head,
        "| PostgreSQL | minutes | told above info | told as info |\n| --- | --- | --- | --- |",
        *(
            f"| {each.major} | {each.minutes:.0f} | {len(each.loud)} | {len(each.info)} |"
            for each in outcomes
        ),
    ]
    for each in outcomes:
        for title, lines in (("Above info", each.loud), ("Info", each.info), ("Never read", each.not_read)):
            if lines:
                parts.append(f"\n{title}, PostgreSQL {each.major}:\n")
                parts += [f"- {line}" for line in lines]
    return "\n".join(parts) + "\n"


def main() -> int:
    """0 when nothing above info was told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long each act lasts")
    parser.add_argument("--majors", type=int, nargs="+", default=[15, 18])
    parser.add_argument("--write", action="store_true", help=f"write {SUMMARY.relative_to(ROOT)}")
    given = parser.parse_args()
    outcomes = [play(major, given.minutes * 60) for major in given.majors]
    text = summary(outcomes, given.minutes * 60)
    print(text)
    if given.write:
        SUMMARY.write_text(text, encoding="utf-8")
    told = sum(len(each.loud) for each in outcomes)
    unread = sum(len(each.not_read) for each in outcomes)
    return hold(
        [
            Figure("healthy servers: told above info", told, 0),
            Figure("healthy servers: collectors that never read", unread, 0),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
