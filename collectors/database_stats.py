"""What each database has done since its statistics were reset: transactions, blocks, rows, sessions, conflicts.

The row of database 0 stands for the objects that all databases share; its name is "".
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from heapq import nlargest
from typing import NamedTuple
from zlib import crc32

from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query

MOST_REMEMBERED = 100  # databases of one series: those with the highest counts, then the busiest


class DatabaseStats(NamedTuple):
    """Counters since `stats_reset` (None: since the cluster or the database was made).

    What a server does not have is None: sessions and their times before 14, checksums where they are off.
    `conflicts` are queries cancelled on a standby; the `confl_` columns are the same by cause.
    """

    oid: int
    database: str
    backends: int
    xact_commit: int
    xact_rollback: int
    blks_read: int
    blks_hit: int
    tup_returned: int
    tup_fetched: int
    tup_inserted: int
    tup_updated: int
    tup_deleted: int
    conflicts: int
    temp_files: int
    temp_bytes: int
    deadlocks: int
    checksum_failures: int | None
    checksum_last_failure: datetime | None
    blk_read_time_ms: float
    blk_write_time_ms: float
    session_time_ms: float | None
    active_time_ms: float | None
    idle_in_transaction_time_ms: float | None
    sessions: int | None
    sessions_abandoned: int | None
    sessions_fatal: int | None
    sessions_killed: int | None
    parallel_workers_to_launch: int | None
    parallel_workers_launched: int | None
    stats_reset: datetime | None
    confl_tablespace: int
    confl_lock: int
    confl_snapshot: int
    confl_bufferpin: int
    confl_deadlock: int
    confl_active_logicalslot: int | None

    @property
    def epoch(self) -> str:
        """Another one when the counters start again: reset, or a new database of the same name."""
        return f"{self.oid}/{'' if self.stats_reset is None else self.stats_reset.isoformat()}"

    @property
    def transactions(self) -> int:
        return self.xact_commit + self.xact_rollback

    @property
    def conflicts_by_cause(self) -> dict[str, int]:
        """Queries cancelled on a standby because of recovery, by what recovery needed."""
        return {cause: getattr(self, f"confl_{cause}") or 0 for cause in CONFLICTS}


CONFLICTS = ("tablespace", "lock", "snapshot", "bufferpin", "deadlock", "active_logicalslot")

DATABASE_STATS = Query(
    name="database_stats",
    row=DatabaseStats,
    columns=(
        Column("oid", "d.datid::int8"),
        Column("database", "coalesce(d.datname::text, '')", "The database; empty for shared objects."),
        Column("backends", "coalesce(d.numbackends, 0)", "Sessions connected to it now.", "count"),
        Column("xact_commit", "d.xact_commit", "Transactions committed.", "count"),
        Column("xact_rollback", "d.xact_rollback", "Transactions rolled back.", "count"),
        Column("blks_read", "d.blks_read", "Blocks read from outside of shared buffers.", "blocks"),
        Column("blks_hit", "d.blks_hit", "Blocks found in shared buffers.", "blocks"),
        Column("tup_returned", "d.tup_returned", "Live rows read by scans.", "rows"),
        Column("tup_fetched", "d.tup_fetched", "Live rows fetched by index scans.", "rows"),
        Column("tup_inserted", "d.tup_inserted", "Rows inserted.", "rows"),
        Column("tup_updated", "d.tup_updated", "Rows updated.", "rows"),
        Column("tup_deleted", "d.tup_deleted", "Rows deleted.", "rows"),
        Column("conflicts", "d.conflicts", "Queries cancelled by recovery, on a standby.", "count"),
        Column("temp_files", "d.temp_files", "Temporary files made by queries.", "count"),
        Column("temp_bytes", "d.temp_bytes", "Bytes written to temporary files.", "bytes"),
        Column("deadlocks", "d.deadlocks", "Deadlocks detected.", "count"),
        Column("checksum_failures", "d.checksum_failures", "Data pages that failed their checksum.", "count"),
        Column("checksum_last_failure", "d.checksum_last_failure", "When the last one failed.", "timestamp"),
        Column("blk_read_time_ms", "d.blk_read_time", "Time spent reading (track_io_timing).", "ms"),
        Column("blk_write_time_ms", "d.blk_write_time", "Time spent writing (track_io_timing).", "ms"),
        Column(
            "session_time_ms",
            "d.session_time",
            "Time of sessions that have ended or reported.",
            "ms",
            needs="pg_stat_database.session_time",
            otherwise="NULL::float8",
        ),
        Column(
            "active_time_ms",
            "d.active_time",
            "Time spent executing.",
            "ms",
            needs="pg_stat_database.active_time",
            otherwise="NULL::float8",
        ),
        Column(
            "idle_in_transaction_time_ms",
            "d.idle_in_transaction_time",
            "Time idle in transactions.",
            "ms",
            needs="pg_stat_database.idle_in_transaction_time",
            otherwise="NULL::float8",
        ),
        Column(
            "sessions",
            "d.sessions",
            "Sessions established.",
            "count",
            needs="pg_stat_database.sessions",
            otherwise="NULL::bigint",
        ),
        Column(
            "sessions_abandoned",
            "d.sessions_abandoned",
            "Sessions whose client was lost.",
            "count",
            needs="pg_stat_database.sessions_abandoned",
            otherwise="NULL::bigint",
        ),
        Column(
            "sessions_fatal",
            "d.sessions_fatal",
            "Sessions ended by fatal errors.",
            "count",
            needs="pg_stat_database.sessions_fatal",
            otherwise="NULL::bigint",
        ),
        Column(
            "sessions_killed",
            "d.sessions_killed",
            "Sessions ended by an operator.",
            "count",
            needs="pg_stat_database.sessions_killed",
            otherwise="NULL::bigint",
        ),
        Column(
            "parallel_workers_to_launch",
            "d.parallel_workers_to_launch",
            "Parallel workers planned.",
            "count",
            needs="pg_stat_database.parallel_workers_to_launch",
            otherwise="NULL::bigint",
        ),
        Column(
            "parallel_workers_launched",
            "d.parallel_workers_launched",
            "Parallel workers launched.",
            "count",
            needs="pg_stat_database.parallel_workers_launched",
            otherwise="NULL::bigint",
        ),
        Column("stats_reset", "d.stats_reset", "When its counters were reset.", "timestamp"),
        Column("confl_tablespace", "coalesce(c.confl_tablespace, 0)", unit="count"),
        Column("confl_lock", "coalesce(c.confl_lock, 0)", unit="count"),
        Column("confl_snapshot", "coalesce(c.confl_snapshot, 0)", unit="count"),
        Column("confl_bufferpin", "coalesce(c.confl_bufferpin, 0)", unit="count"),
        Column("confl_deadlock", "coalesce(c.confl_deadlock, 0)", unit="count"),
        Column(
            "confl_active_logicalslot",
            "c.confl_active_logicalslot",
            unit="count",
            needs="pg_stat_database_conflicts.confl_active_logicalslot",
            otherwise="NULL::bigint",
        ),
    ),
    source="FROM pg_stat_database AS d LEFT JOIN pg_stat_database_conflicts AS c ON c.datid = d.datid",
)


class DatabaseStatsReading(NamedTuple):
    """Every database, and the shared objects under the name ""."""

    databases: tuple[DatabaseStats, ...]


def _read(reader: Reader) -> DatabaseStatsReading:
    return DatabaseStatsReading(reader.rows(DATABASE_STATS))


def _remembered(field: str) -> Callable[[DatabaseStatsReading], Iterator[Sample]]:
    """A counter of each database, by its name."""

    def samples(reading: DatabaseStatsReading) -> Iterator[Sample]:
        known = [row for row in reading.databases if getattr(row, field) is not None]
        most = nlargest(MOST_REMEMBERED, known, key=lambda row: (getattr(row, field), row.transactions))
        for row in most:
            yield Sample(row.database, getattr(row, field), row.epoch)

    return samples


def _transactions(reading: DatabaseStatsReading) -> Iterator[Sample]:
    for row in nlargest(MOST_REMEMBERED, reading.databases, key=lambda row: row.transactions):
        yield Sample(row.database, row.transactions, row.epoch)


def _by_cause(reading: DatabaseStatsReading) -> Iterator[Sample]:
    """Conflicts of the whole server, by cause; compared only while the databases and their resets are the same."""
    epoch = str(crc32(",".join(sorted(row.epoch for row in reading.databases)).encode()))
    for cause in CONFLICTS:
        yield Sample(cause, sum(row.conflicts_by_cause[cause] for row in reading.databases), epoch)


class _Conflicts(NamedTuple):
    database: str
    cause: str
    queries: int


def _conflict_rows(reading: DatabaseStatsReading) -> Iterator[_Conflicts]:
    for row in reading.databases:
        if row.conflicts:
            yield from (_Conflicts(row.database, *each) for each in row.conflicts_by_cause.items())


def _counter(
    field: str, text: str, *, name: str | None = None, factor: float = 1.0
) -> Family[DatabaseStatsReading]:
    def value(row: DatabaseStats) -> float | None:
        counted = getattr(row, field)
        return None if counted is None else counted * factor

    return Family(
        name=f"database_{name or field}",
        help=text,
        rows=lambda reading: reading.databases,
        value=value,
        labels={"database": lambda row: row.database},
        counter=True,
    )


def _seconds(field: str, text: str) -> Family[DatabaseStatsReading]:
    return _counter(f"{field}_ms", text, name=f"{field}_seconds", factor=0.001)


def _gauge(
    name: str, text: str, value: Callable[[DatabaseStats], float | None]
) -> Family[DatabaseStatsReading]:
    return Family(
        name=f"database_{name}",
        help=text,
        rows=lambda reading: reading.databases,
        value=value,
        labels={"database": lambda row: row.database},
    )


_FAMILIES = (
    _counter("xact_commit", "Transactions committed."),
    _counter("xact_rollback", "Transactions rolled back."),
    _counter("blks_read", "Blocks read from outside of shared buffers.", name="blocks_read"),
    _counter("blks_hit", "Blocks found in shared buffers.", name="blocks_hit"),
    _counter("tup_returned", "Live rows read by scans.", name="rows_returned"),
    _counter("tup_fetched", "Live rows fetched by index scans.", name="rows_fetched"),
    _counter("tup_inserted", "Rows inserted.", name="rows_inserted"),
    _counter("tup_updated", "Rows updated.", name="rows_updated"),
    _counter("tup_deleted", "Rows deleted.", name="rows_deleted"),
    _counter("temp_files", "Temporary files made by queries."),
    _counter("temp_bytes", "Bytes written to temporary files."),
    _counter("deadlocks", "Deadlocks detected."),
    _counter("checksum_failures", "Data pages that failed their checksum."),
    _counter("sessions", "Sessions established."),
    _counter("sessions_abandoned", "Sessions whose client was lost."),
    _counter("sessions_fatal", "Sessions ended by fatal errors."),
    _counter("sessions_killed", "Sessions ended by an operator."),
    _counter("parallel_workers_to_launch", "Parallel workers planned."),
    _counter("parallel_workers_launched", "Parallel workers launched."),
    _seconds("blk_read_time", "Time spent reading blocks (track_io_timing)."),
    _seconds("blk_write_time", "Time spent writing blocks (track_io_timing)."),
    _seconds("session_time", "Time of sessions."),
    _seconds("active_time", "Time that sessions spent executing."),
    _seconds("idle_in_transaction_time", "Time that sessions spent idle in transactions."),
    _gauge("backends", "Sessions connected now.", lambda row: row.backends),
    _gauge(
        "checksum_last_failure_timestamp_seconds",
        "When a page last failed its checksum.",
        lambda row: _stamp(row.checksum_last_failure),
    ),
    _gauge(
        "stats_reset_timestamp_seconds",
        "When the counters were last reset.",
        lambda row: _stamp(row.stats_reset),
    ),
    Family(
        name="database_conflicts",
        help="Queries cancelled on a standby by recovery, by cause.",
        rows=_conflict_rows,
        value=lambda row: row.queries,
        labels={"database": lambda row: row.database, "cause": lambda row: row.cause},
        counter=True,
    ),
)


def _stamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


COLLECTOR = Collector(
    name="database_stats",
    summary="Counters of each database: transactions, blocks, rows, temporary files, deadlocks, sessions, conflicts",
    lane=LaneKind.SERVER,
    interval_s=30.0,
    timeout_s=5.0,
    queries=(DATABASE_STATS,),
    read=_read,
    tables={DATABASE_STATS.name: lambda reading: reading.databases},
    series={
        "deadlocks": _remembered("deadlocks"),
        "temp_bytes": _remembered("temp_bytes"),
        "checksum_failures": _remembered("checksum_failures"),
        "sessions": _remembered("sessions"),
        "transactions": _transactions,
        "conflicts": _remembered("conflicts"),
        "conflicts_by_cause": _by_cause,
    },
    families=_FAMILIES,
)
