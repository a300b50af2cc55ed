"""Vacuums that run now, on the whole server, and how far they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Vacuum(NamedTuple):
    """One that runs. `kind` is manual, autovacuum or wraparound (autovacuum that no lock cancels).

    `index_passes` above 1 are for want of memory: the indexes are read once more for each.
    """

    pid: int
    database: str
    relation_oid: int
    kind: str
    phase: str
    heap_blocks: int
    scanned_blocks: int
    vacuumed_blocks: int
    index_passes: int
    running_s: float | None
    wait_event_type: str | None
    wait_event: str | None

    @property
    def scanned_ratio(self) -> float | None:
        return self.scanned_blocks / self.heap_blocks if self.heap_blocks else None


class Workers(NamedTuple):
    """Of autovacuum: those that are busy, of how many."""

    busy: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VacuumProgressReading:
    vacuums: tuple[Vacuum, ...]
    workers: Workers


VACUUMS = Query(
    name="vacuum_progress",
    row=Vacuum,
    columns=(
        Column("pid", "p.pid"),
        Column("database", "p.datname::text", "The database."),
        Column("relation_oid", "p.relid::int8"),
        Column(
            "kind",
            "CASE WHEN a.backend_type IS DISTINCT FROM 'autovacuum worker' THEN 'manual'"
            " WHEN position(convert_to('to prevent wraparound', 'SQL_ASCII') IN textsend(a.query)) > 0"
            " THEN 'wraparound' ELSE 'autovacuum' END",
            "manual, autovacuum or wraparound.",
        ),
        Column("phase", "coalesce(p.phase, '')", "What it does now."),
        Column("heap_blocks", "coalesce(p.heap_blks_total, 0)", "Of the table.", "blocks"),
        Column("scanned_blocks", "coalesce(p.heap_blks_scanned, 0)", unit="blocks"),
        Column("vacuumed_blocks", "coalesce(p.heap_blks_vacuumed, 0)", unit="blocks"),
        Column("index_passes", "coalesce(p.index_vacuum_count, 0)", "Passes over the indexes.", "count"),
        Column(
            "running_s",
            "extract(epoch FROM clock_timestamp() - a.xact_start)::float8",
            "How long it runs.",
            "s",
        ),
        Column("wait_event_type", "a.wait_event_type"),
        Column("wait_event", "a.wait_event"),
    ),
    source="FROM pg_stat_progress_vacuum AS p LEFT JOIN pg_stat_activity AS a ON a.pid = p.pid ORDER BY p.pid",
)

WORKERS = Query(
    name="vacuum_progress_workers",
    row=Workers,
    columns=(
        Column("busy", "count(*)", unit="count"),
        Column("most", "current_setting('autovacuum_max_workers')::int8", unit="count"),
    ),
    source="FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'",
)


def read(reader: Reader) -> VacuumProgressReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (workers,) = reader.rows(WORKERS)
    return VacuumProgressReading(vacuums=reader.rows(VACUUMS), workers=workers)


def _vacuums(reading: VacuumProgressReading) -> Sequence[Vacuum]:
    return reading.vacuums


COLLECTOR = Collector(
    name="vacuum_progress",
    summary="Vacuums that run now, their phase and how far they are; busy workers of autovacuum",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(VACUUMS, WORKERS),
    read=read,
    tables={VACUUMS.name: _vacuums},
    families=(
        Family(
            name="vacuums_running",
            help="Vacuums that run now, by kind (manual, autovacuum, wraparound) and phase.",
            rows=_vacuums,
            value=lambda _: 1,
            labels={
                "database": lambda row: row.database,
                "kind": lambda row: row.kind,
                "phase": lambda row: row.phase,
            },
        ),
        Family(
            name="vacuum_scanned_ratio",
            help="Part of its table that a running vacuum has scanned, from 0 to 1.",
            rows=_vacuums,
            value=lambda row: row.scanned_ratio,
            labels={"database": lambda row: row.database, "relation_oid": lambda row: row.relation_oid},
        ),
        Family(
            name="autovacuum_workers_busy",
            help="Workers of autovacuum that are at work.",
            rows=lambda reading: (reading.workers,),
            value=lambda row: row.busy,
        ),
        Family(
            name="autovacuum_workers_limit",
            help="Workers of autovacuum that may be at work at once.",
            rows=lambda reading: (reading.workers,),
            value=lambda row: row.most,
        ),
    ),
)
