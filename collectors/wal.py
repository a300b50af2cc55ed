"""How much write-ahead log is written, and how much of it lies on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class WalPosition(NamedTuple):
    """`position_bytes` is the LSN as a number: written on a primary, replayed on a standby."""

    position_bytes: int | None
    timeline: str | None
    may_list: bool


class WalDirectory(NamedTuple):
    """Files in pg_wal, recycled ones included."""

    files: int
    size_bytes: int


class WalStats(NamedTuple):
    """pg_stat_wal since `stats_reset`. The writes and syncs are None from 18 on: pg_stat_io has them."""

    records: int
    full_page_images: int
    bytes: int
    buffers_full: int
    writes: int | None
    syncs: int | None
    write_time_ms: float | None
    sync_time_ms: float | None
    stats_reset: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalReading:
    """`directory` is None where the role may not list it, `stats` before 14."""

    position: WalPosition
    directory: WalDirectory | None
    stats: WalStats | None


POSITION = Query(
    name="wal_position",
    row=WalPosition,
    columns=(
        Column(
            "position_bytes",
            "(CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), pg_last_wal_receive_lsn())"
            " ELSE pg_current_wal_insert_lsn() END - '0/0')::int8",
            "The LSN as a number: written on a primary, replayed on a standby.",
            "bytes",
        ),
        Column(
            "timeline",
            "CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END",
            "The timeline that is written, in hexadecimal; null on a standby.",
        ),
        Column("may_list", "has_function_privilege('pg_ls_waldir()', 'EXECUTE')", unit="flag"),
    ),
    source="",
)

DIRECTORY = Query(
    name="wal_directory",
    row=WalDirectory,
    columns=(
        Column("files", "count(*)", "Files in pg_wal.", "count"),
        Column("size_bytes", "coalesce(sum(size), 0)::int8", "Size of the files in pg_wal.", "bytes"),
    ),
    source="FROM pg_ls_waldir()",
)

STATS = Query(
    name="wal_stats",
    row=WalStats,
    needs="pg_stat_wal.wal_records",
    columns=(
        Column("records", "wal_records", "Records written.", "count"),
        Column("full_page_images", "wal_fpi", "Full page images written.", "count"),
        Column("bytes", "wal_bytes::int8", "Bytes of WAL generated.", "bytes"),
        Column("buffers_full", "wal_buffers_full", "Writes because wal_buffers was full.", "count"),
        Column("writes", "wal_write", unit="count", needs="pg_stat_wal.wal_write", otherwise="NULL::bigint"),
        Column("syncs", "wal_sync", unit="count", needs="pg_stat_wal.wal_sync", otherwise="NULL::bigint"),
        Column(
            "write_time_ms",
            "wal_write_time",
            unit="ms",
            needs="pg_stat_wal.wal_write_time",
            otherwise="NULL::float8",
        ),
        Column(
            "sync_time_ms",
            "wal_sync_time",
            unit="ms",
            needs="pg_stat_wal.wal_sync_time",
            otherwise="NULL::float8",
        ),
        Column("stats_reset", "stats_reset", "When the counters were reset.", "timestamp"),
    ),
    source="FROM pg_stat_wal",
)


def _read(reader: Reader) -> WalReading:
    (position,) = reader.rows(POSITION)
    return WalReading(
        position=position,
        directory=reader.rows(DIRECTORY)[0] if position.may_list else None,
        stats=reader.rows(STATS)[0] if STATS.asks(reader.facts) else None,
    )


def _positions(reading: WalReading) -> tuple[Sample, ...]:
    position = reading.position
    if position.position_bytes is None:
        return ()
    return (Sample("", float(position.position_bytes), position.timeline or "recovery"),)


def _counter(name: str, text: str, value: Callable[[WalStats], float | None]) -> Family[WalReading]:
    return Family(
        name=f"wal_{name}",
        help=text,
        rows=lambda reading: () if reading.stats is None else (reading.stats,),
        value=value,
        counter=True,
    )


def _directory(name: str, text: str, value: Callable[[WalDirectory], float]) -> Family[WalReading]:
    return Family(
        name=f"wal_directory_{name}",
        help=text,
        rows=lambda reading: () if reading.directory is None else (reading.directory,),
        value=value,
    )


def _seconds(value_ms: float | None) -> float | None:
    return None if value_ms is None else value_ms / 1000


COLLECTOR = Collector(
    name="wal",
    summary="Write-ahead log: how much is written and why, and how much lies on disk",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(POSITION, DIRECTORY, STATS),
    read=_read,
    tables={
        DIRECTORY.name: lambda reading: () if reading.directory is None else (reading.directory,),
        STATS.name: lambda reading: () if reading.stats is None else (reading.stats,),
    },
    series={"position_bytes": _positions},
    families=(
        Family(
            name="wal_position_bytes",
            help="The LSN as a number of bytes: written on a primary, replayed on a standby.",
            rows=lambda reading: (reading.position,),
            value=lambda row: row.position_bytes,
            counter=True,
        ),
        _directory("files", "Files in pg_wal, recycled ones included.", lambda row: row.files),
        _directory("bytes", "Size of the files in pg_wal.", lambda row: row.size_bytes),
        _counter("records", "Records written.", lambda row: row.records),
        _counter("full_page_images", "Full page images written.", lambda row: row.full_page_images),
        _counter("bytes", "Bytes of WAL generated.", lambda row: row.bytes),
        _counter("buffers_full", "Writes because wal_buffers was full.", lambda row: row.buffers_full),
        _counter("writes", "Writes of WAL to its files (before 18).", lambda row: row.writes),
        _counter("syncs", "Syncs of WAL files (before 18).", lambda row: row.syncs),
        _counter(
            "write_seconds", "Time spent writing WAL (before 18).", lambda row: _seconds(row.write_time_ms)
        ),
        _counter(
            "sync_seconds", "Time spent syncing WAL (before 18).", lambda row: _seconds(row.sync_time_ms)
        ),
    ),
)
