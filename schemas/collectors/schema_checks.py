"""The design of a database, as the checks of `schemas/checks/` see it.

Each check is a query of its own: one that fails is told as not covered, and the others are not lost with it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pgvigil.model.failure import FailureKind
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.locked import LOCKED
from pgvigil.postgres.query import Column, Query
from schemas.catalogue import checks
from schemas.check import Check
from schemas.rows import MOST_TOLD, CheckRow, query_of

# The check itself failed, and the connection is as good as before.
_OF_THE_CHECK = frozenset(
    {
        FailureKind.TIMEOUT,
        FailureKind.LOCK_TIMEOUT,
        FailureKind.PRIVILEGE,
        FailureKind.UNDEFINED,
        FailureKind.MISSING,
        FailureKind.SQL,
    }
)
_MOST_TIMEOUTS = 2  # after these the server is left in peace
_BUDGET_S = 20.0  # and after this


class StandbyCount(NamedTuple):
    connected: int


class Tally(NamedTuple):
    """A check and how much it found."""

    check: str
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaReading:
    """`found` has the rows of each check that applies here and was answered; `failed` says why another was not.

    `standbys` are those that are connected to this server, watched or not.
    """

    found: Mapping[str, tuple[CheckRow, ...]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    standbys: int = 0


# A walsender without a database is a physical one; what receives WAL without replaying it is no server to ask.
STANDBYS = Query(
    name="connected_standbys",
    row=StandbyCount,
    columns=(Column("connected", "count(*)", "Servers that replay our WAL.", "count"),),
    source="""
    FROM pg_stat_replication AS r JOIN pg_stat_activity AS a USING (pid)
    WHERE a.datid IS NULL AND r.replay_lsn IS NOT NULL
    """,
)
QUERIES = {name: query_of(check) for name, check in checks().items()}


def read(reader: Reader, elapsed_s: Callable[[], float] = time.monotonic) -> SchemaReading:
    """Raises ReadError when the connection is lost."""
    began_s = elapsed_s()
    (locked,) = reader.rows(LOCKED)
    (standbys,) = reader.rows(STANDBYS)
    found: dict[str, tuple[CheckRow, ...]] = {}
    failed: dict[str, str] = {}
    timeouts = 0
    for name in _applying(reader):
        if timeouts >= _MOST_TIMEOUTS or elapsed_s() - began_s > _BUDGET_S:
            failed[name] = "not asked: the checks before it took too long"
            continue
        try:
            found[name] = _lightened(reader.rows(QUERIES[name], {"locked": locked.exclusive}))
        except ReadError as error:
            if error.failure.kind not in _OF_THE_CHECK:
                raise
            failed[name] = error.failure.message
            timeouts += error.failure.kind is FailureKind.TIMEOUT
    return SchemaReading(found=found, failed=failed, standbys=standbys.connected)


def _applying(reader: Reader) -> Iterator[str]:
    return (name for name, check in checks().items() if _applies(check, reader))


def _applies(check: Check, reader: Reader) -> bool:
    return all(map(reader.facts.has, check.needs))


def _lightened(rows: tuple[CheckRow, ...]) -> tuple[CheckRow, ...]:
    """What is not told one by one is kept as its subject and measures: a reading stays in memory for an hour."""
    rest = (row._replace(summary="", impact="", cause=None, figures=[], steps=[]) for row in rows[MOST_TOLD:])
    return (*rows[:MOST_TOLD], *rest)


def _tallies(reading: SchemaReading) -> Iterator[Tally]:
    return (Tally(name, rows[0].found if rows else 0) for name, rows in reading.found.items())


COLLECTOR = Collector(
    name="schema_checks",
    summary="The design of each database: superfluous and missing indexes, keys, identities; one query for each check",
    lane=LaneKind.DATABASES,
    interval_s=3600.0,
    timeout_s=5.0,
    budget_s=_BUDGET_S,
    queries=(LOCKED, STANDBYS, *QUERIES.values()),
    read=read,
    families=(
        Family(
            name="schema_check_found",
            help="Objects that a check of the design found, before the limits of its rule.",
            rows=_tallies,
            value=lambda row: row.found,
            labels={"check": lambda row: row.check},
        ),
    ),
)
