"""What each collector costs a server that has a lot in it: time, blocks and locks, by the server's own account.

    python -m tests.bench.bench_cost [MAJOR ...]

Without a major every version that is here is measured, and docs/reference/cost.md and cost.json are written
(`make bench-cost`). Exits with 1 when a collector costs more than is promised.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from pgvigil.plugins import Collector, LaneKind, TargetKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.session import Session, connect
from pgvigil.registry import collectors
from pgvigil.scratch import binaries
from pgvigil.scratch.binaries import Binaries
from pgvigil.scratch.server import ScratchServer
from pgvigil.units import format_duration
from tests.bench.figures import Figure, hold, machine
from tests.bench.many import DATABASES, HOME, INDEXES, RELATIONS, SEQUENCES, many
from tests.support import servers, watching

MOST_MS = 100.0
RARE = 1000  # a reading may take longer where that is less than so small a part of its interval
MOST_LOCKS = 1000  # by default the server has room for 6,400 of all sessions together
READINGS = 5
FOLDER = Path(__file__).parents[2] / "docs" / "reference"

# From the weakest to the strongest.
MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)

# ROW EXCLUSIVE is what asking a sequence for its value takes; those that are being altered are left out.
HARMLESS = ("", *MODES[:3])

_SPENT = """
    SELECT coalesce(sum(total_plan_time + total_exec_time), 0)::float8,
           coalesce(sum(temp_blks_read + temp_blks_written), 0)::int8,
           coalesce(sum(shared_blks_hit + shared_blks_read), 0)::int8
    FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
    WHERE r.rolname = %s AND query LIKE '%%/* pgvigil:%%' AND query NOT LIKE '%%pgvigil:session%%'
      AND query NOT LIKE '%%pgvigil:facts%%'
"""
_LOCKS = "SELECT mode, count(*) FROM pg_locks WHERE pid = %s AND locktype = 'relation' GROUP BY mode"


Ask = Callable[..., Any]
Measured = tuple[dict[str, "Cost"], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one reading, on the average of five: planning and execution. `empty_ms` is that of a database with nothing in it.

    `locks` are of the statement that takes the most of them.
    """

    ms: float
    temp_blocks: int
    shared_blocks: int
    locks: int
    strongest: str
    empty_ms: float | None = None


class Bench:
    """One filled server, read as the watch role."""

    def __init__(self, server: ScratchServer) -> None:
        self._dsn = watching.watch_dsn(server.dsn(HOME))
        self._admin = psycopg.connect(server.dsn(HOME), autocommit=True)
        self.failures: list[str] = []

    def close(self) -> None:
        self._admin.close()

    def cost(self, collector: Collector[Any]) -> Cost | None:
        """None where the server has not what the collector needs."""
        with closing(self._connect(HOME)) as session:
            if collector.extension is not None and collector.extension not in session.facts.extensions:
                return None
        locks = self._locks(collector)
        ms, temp_blocks, shared_blocks = self._spent(collector, HOME)
        visits = collector.lane is not LaneKind.SERVER
        return Cost(
            ms=round(ms, 2),
            temp_blocks=round(temp_blocks),
            shared_blocks=round(shared_blocks),
            locks=sum(locks.values()),
            strongest=max(locks, key=MODES.index, default=""),
            empty_ms=round(self._spent(collector, "d0")[0], 2) if visits else None,
        )

    def _connect(self, database: str) -> Session:
        return connect(Dsn.parse(self._dsn), database=database)

    def _spent(self, collector: Collector[Any], database: str) -> tuple[float, float, float]:
        """Milliseconds, temporary and shared blocks of a reading; of databases each is on a connection of its own."""
        self._read(collector, database, 1)
        self._admin.execute("SELECT pg_stat_statements_reset()")
        if collector.lane is LaneKind.SERVER:
            self._read(collector, database, READINGS)
        else:
            for _ in range(READINGS):
                self._read(collector, database, 1)
        row = self._admin.execute(_SPENT, [watching.ROLE]).fetchone()
        assert row is not None
        ms, temp_blocks, shared_blocks = (float(value) / READINGS for value in row)
        return ms, temp_blocks, shared_blocks

    def _read(self, collector: Collector[Any], database: str, times: int) -> None:
        with self._session(collector, database) as session, suppress(ReadError):  # it is kept, see there
            for _ in range(times):
                collector.read(session)

    @contextmanager
    def _session(self, collector: Collector[Any], database: str) -> Iterator[Session]:
        """Failures are kept: a collector may bear one of a part, and a statement that was ended is in no account."""
        with closing(self._connect(database)) as session, session.within(collector.timeout_s):
            session._channel.ask = self._noted(session._channel.ask)  # type: ignore[method-assign]
            yield session

    def _noted(self, ask: Ask) -> Ask:
        def noted(text: str, *given: Any, **named: Any) -> Any:
            try:
                return ask(text, *given, **named)
            except ReadError as error:
                self.failures.append(f"{text[:60]}: {error}")
                raise

        return noted

    def _locks(self, collector: Collector[Any]) -> dict[str, int]:
        """By mode, the most that one of the statements takes: each is held in a transaction until they are counted."""
        found = Counter[str]()
        with self._session(collector, HOME) as session:
            channel, connection = session._channel, session._channel._connection
            ask = channel.ask

            def counted(*given: Any, **named: Any) -> Any:
                answer = ask(*given, **named)
                for mode, locks in self._admin.execute(_LOCKS, [session.backend_pid]).fetchall():
                    found[mode] = max(found[mode], locks)
                connection.rollback()
                return answer

            connection.autocommit = False
            channel.ask = counted  # type: ignore[method-assign]
            with suppress(ReadError):  # kept above
                collector.read(session)
        return dict(found)


def measure(chosen: Binaries) -> Measured:
    """What each collector costs a filled server of that version, and what failed."""
    print(f"PostgreSQL {chosen.version}: filling", flush=True)
    wanted = [each for each in collectors().values() if each.fits(TargetKind.POSTGRES)]
    with many(chosen) as server, closing(Bench(server)) as bench:
        found = {each.name: cost for each in wanted if (cost := bench.cost(each)) is not None}
    for name, cost in sorted(found.items(), key=lambda item: -item[1].ms):
        print(
            f"  {name:<24} {cost.ms:8.2f} ms {cost.shared_blocks:8.0f} blocks {cost.locks:4} {cost.strongest}",
            flush=True,
        )
    print(*bench.failures, sep="\n", flush=True)
    return found, tuple(bench.failures)


def judged(version: str, found: dict[str, Cost], failures: Sequence[str]) -> list[Figure]:
    every_s = {name: each.interval_s for name, each in collectors().items()}
    dearest = max(found, key=lambda name: found[name].ms)
    dear = [name for name, cost in found.items() if cost.ms > max(MOST_MS, every_s[name] * 1000 / RARE)]
    a_second = sum(
        (cost.ms + DATABASES * (cost.empty_ms or 0.0)) / every_s[name] for name, cost in found.items()
    )
    stronger = sum(cost.strongest not in HARMLESS for cost in found.values())
    temp_blocks = sum(cost.temp_blocks for cost in found.values())
    where = f"cost, PostgreSQL {version}"
    return [
        Figure(f"{where}: the dearest reading ({dearest})", found[dearest].ms, None, "ms"),
        Figure(f"{where}: over 100 ms and 0.1 % of the interval {dear or ''}", len(dear), 0),
        Figure(f"{where}: all of them, with 200 databases", a_second / 10, None, "% of a core"),
        Figure(f"{where}: statements that failed", len(failures), 0),
        Figure(f"{where}: temporary blocks of all readings", temp_blocks, 0),
        Figure(f"{where}: collectors whose locks are in anybody's way", stronger, 0),
        Figure(
            f"{where}: most locks of one statement", max(each.locks for each in found.values()), MOST_LOCKS
        ),
    ]


def figures() -> list[Figure]:
    chosen = binaries.best()
    return judged(str(chosen.major), *measure(chosen))


# --- the page ---------------------------------------------------------------------------------------------

_HEAD = f"""<!-- Written by `make bench-cost`. -->

# What a reading costs the server

Measured on {{at}} ({{machine}}), on servers with {RELATIONS:,} relations, {INDEXES:,} indexes and {SEQUENCES:,} sequences in
one database, and {DATABASES} more databases. Milliseconds are the server's own account (pg_stat_statements, planning and
execution) of one reading, all queries of the collector together. Collectors that visit each database are read on a new
connection each time, as the daemon does it; *empty* is what they cost in a database with nothing in it. Blocks, and the
locks of the statement that takes the most of them, are those of the newest version.

Held on each version: no temporary block; no reading over 100 ms that is also over a thousandth of its interval; no lock
but ACCESS SHARE, and on sequences ROW EXCLUSIVE, which is what asking for their last value takes; at most {MOST_LOCKS:,}
locks in a statement.{{but}} A collector that costs a server more than 1 % of a backend's time is read more rarely by itself.

"""


def page(at: str, costs: dict[str, dict[str, Cost]], found: Sequence[Figure]) -> str:
    """Markdown, a row for each collector; `costs` by version, the newest last."""
    versions = list(costs)
    newest = costs[versions[-1]]
    known = collectors()
    lines = [
        f"| collector | every | {' | '.join(f'{version}, ms' for version in versions)} | empty, ms | blocks | locks |",
        f"|---|---|{'---|' * (len(versions) + 3)}",
    ]
    for name in sorted({name for each in costs.values() for name in each}):
        each_ms = [f"{each[name].ms:.1f}" if name in each else "" for each in costs.values()]
        last = newest.get(name)
        empty = "" if last is None or last.empty_ms is None else f"{last.empty_ms:.1f}"
        rest = f"{last.shared_blocks} | {last.locks}" if last else " | "
        every = format_duration(known[name].interval_s)
        lines.append(f"| {name} | {every} | {' | '.join(each_ms)} | {empty} | {rest} |")
    return _HEAD.format(at=at, machine=machine(), but=_exceptions(found)) + "\n".join(lines) + "\n"


def _exceptions(found: Sequence[Figure]) -> str:
    wrong = [f"{figure.what} ({figure.measured:.1f})" for figure in found if not figure.holds]
    return f" Not held: {'; '.join(wrong)}." if wrong else ""


def written(at: str, costs: dict[str, dict[str, Cost]]) -> str:
    """JSON, by collector and version, for the collectors' own pages."""
    plain: dict[str, dict[str, dict[str, Any]]] = {}
    for version, found in costs.items():
        for name, cost in found.items():
            told = {**asdict(cost), "locks": _mode(cost.strongest), "lock_count": cost.locks}
            plain.setdefault(name, {})[version] = told
    whole = {"measured_on": at, "machine": machine(), "collectors": plain}
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"


def _mode(name: str) -> str:
    """As people write it: ACCESS SHARE."""
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Lock")).upper() or "none"


def main(majors: list[str]) -> int:
    chosen = sorted(
        (each for each in servers.installations() if not majors or str(each.major) in majors),
        key=lambda each: -each.major,
    )
    measured: dict[str, Measured] = {}
    found: list[Figure] = []
    for each in chosen:
        measured = {str(each.major): measure(each)} | measured
        found = [figure for version, told in measured.items() for figure in judged(version, *told)]
        if not majors:
            _write(measured, found)
    return hold(found)


def _write(measured: dict[str, Measured], found: Sequence[Figure]) -> None:
    at = datetime.now(UTC).date().isoformat()
    costs = {version: each for version, (each, _) in measured.items()}
    (FOLDER / "cost.md").write_text(page(at, costs, found), encoding="utf-8")
    (FOLDER / "cost.json").write_text(written(at, costs), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
