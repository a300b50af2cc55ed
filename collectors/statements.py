"""pg_stat_statements in numbers. Texts are never read here: that loads the whole text file every time.

Every column costs the server about a tenth of what the bare function costs: only what a rule or a metric
uses is read. Blocks dirtied and written are not: `wal_bytes` tells how much a statement changes.
"""

from datetime import UTC, datetime

from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query
from pgvigil.statements import COUNTERS, KEY, Statement, StatementChanges, StatementsInfo, StatementsReading

_VIEW = "pg_stat_statements"
_EXTENSION = "pg_stat_statements"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ENTRIES = Query(
    name="statements",
    row=Statement,
    columns=(
        Column("dbid", "dbid", "Database, by oid."),
        Column("userid", "userid", "Role, by oid."),
        Column(
            "queryid", "coalesce(queryid, 0)", "The server's hash of the statement; 0 where it is hidden."
        ),
        Column("toplevel", "toplevel", "Whether it ran by itself.", "flag", f"{_VIEW}.toplevel", "true"),
        Column("calls", "calls", "Executions.", "count"),
        Column(
            "exec_ms",
            "total_exec_time",
            "Time in execution.",
            "ms",
            f"{_VIEW}.total_exec_time",
            "total_time",  # version 1.7 and older of the extension
        ),
        Column("rows", "rows", "Rows returned or changed.", "rows"),
        Column("shared_hit", "shared_blks_hit", "Blocks found in shared buffers.", "blocks"),
        Column("shared_read", "shared_blks_read", "Blocks read into shared buffers.", "blocks"),
        Column("temp_blocks", "temp_blks_read + temp_blks_written", "Temporary blocks, both ways.", "blocks"),
        Column(
            "io_ms",
            "shared_blk_read_time + shared_blk_write_time",
            "Time in block reads and writes; 0 without track_io_timing.",
            "ms",
            f"{_VIEW}.shared_blk_read_time",
            "blk_read_time + blk_write_time",  # before 17, with local blocks
        ),
        # A cast to float8 would go through text and take three times as long.
        Column("wal_bytes", "wal_bytes::int8", "WAL written.", "bytes", f"{_VIEW}.wal_bytes", "0::int8"),
        Column(
            "stats_since",
            "stats_since",
            "Since when the entry counts.",
            "timestamp",
            f"{_VIEW}.stats_since",
            "'epoch'::timestamptz",
        ),
    ),
    source="FROM {schema}.pg_stat_statements(false)",
    extension=_EXTENSION,
)

INFO = Query(
    name="statements_info",
    row=StatementsInfo,
    columns=(
        Column(
            "dealloc",
            "(SELECT dealloc FROM {schema}.pg_stat_statements_info)",
            "How often entries were evicted.",
            "count",
            "pg_stat_statements_info.dealloc",
            "NULL::int8",
        ),
        Column(
            "stats_reset",
            "(SELECT stats_reset FROM {schema}.pg_stat_statements_info)",
            "When all entries were last reset.",
            "timestamp",
            "pg_stat_statements_info.stats_reset",
            "NULL::timestamptz",
        ),
        Column("started_at", "pg_postmaster_start_time()", "When the server started.", "timestamp"),
        Column("in_recovery", "pg_is_in_recovery()", "Whether it is a standby.", "flag"),
        Column("read_at", "clock_timestamp()", "When this was read, by the server's clock.", "timestamp"),
    ),
    source="",
    extension=_EXTENSION,
)


def read(reader: Reader) -> StatementsReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (opened,) = reader.rows(INFO)
    entries = reader.frame(ENTRIES)
    (closed,) = reader.rows(INFO)
    return StatementsReading(
        entries=entries,
        opened=opened,
        closed=closed,
        dated=reader.facts.has(f"{_VIEW}.stats_since"),
        system_identifier=reader.facts.system_identifier,
    )


def ran(changes: StatementChanges) -> tuple[Statement, ...]:
    """What ran in the interval, row by row: the feed carries differences. `stats_since` is not told of them."""
    columns = [changes.ran[name].tolist() for name in (*KEY, *COUNTERS)]
    return tuple(Statement._make((*row, _EPOCH)) for row in zip(*columns, strict=True))


def _evictions(reading: StatementsReading) -> tuple[Sample, ...]:
    info = reading.closed
    if info.dealloc is None:
        return ()
    return (
        Sample("", float(info.dealloc), "" if info.stats_reset is None else info.stats_reset.isoformat()),
    )


COLLECTOR = Collector(
    name="statements",
    summary="Calls, time, rows, blocks and WAL of every statement, from pg_stat_statements.",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=10.0,
    queries=(ENTRIES, INFO),
    read=read,
    extension=_EXTENSION,
    tables={ENTRIES.name: ran},
    families=(
        Family(
            name="statement_evictions",
            help="How often pg_stat_statements has evicted its least used entries (14+).",
            rows=_evictions,
            value=lambda sample: sample.value,
            counter=True,
        ),
    ),
    series={"evictions": _evictions},
)
