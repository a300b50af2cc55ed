"""Input and output by who does it and why: pg_stat_io (16 and later)."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Io(NamedTuple):
    """Counters since `stats_reset`. None: this kind of backend, object and context does no such operation.

    Bytes of extensions, reads and writes are the server's own from 18 on, operations of one block before. Times are
    zero unless track_io_timing (for WAL: track_wal_io_timing) is on.
    """

    backend_type: str
    object: str
    context: str
    reads: int | None
    read_bytes: int | None
    read_time_ms: float | None
    writes: int | None
    write_bytes: int | None
    write_time_ms: float | None
    extends: int | None
    extend_bytes: int | None
    extend_time_ms: float | None
    writebacks: int | None
    fsyncs: int | None
    fsync_time_ms: float | None
    hits: int | None
    evictions: int | None
    reuses: int | None
    stats_reset: datetime | None


IO = Query(
    name="io",
    row=Io,
    needs="pg_stat_io.reads",
    columns=(
        Column("backend_type", "backend_type"),
        Column("object", "object", "relation, temp relation or wal."),
        Column("context", "context", "normal, vacuum, bulkread, bulkwrite or init."),
        Column("reads", "reads", "Read operations.", "count"),
        Column(
            "read_bytes",
            "read_bytes::int8",
            "Bytes read.",
            "bytes",
            needs="pg_stat_io.read_bytes",
            otherwise="reads * op_bytes",
        ),
        Column("read_time_ms", "read_time", "Time spent reading.", "ms"),
        Column("writes", "writes", "Write operations.", "count"),
        Column(
            "write_bytes",
            "write_bytes::int8",
            "Bytes written.",
            "bytes",
            needs="pg_stat_io.write_bytes",
            otherwise="writes * op_bytes",
        ),
        Column("write_time_ms", "write_time", "Time spent writing.", "ms"),
        Column("extends", "extends", "Extensions of relations.", "count"),
        Column(
            "extend_bytes",
            "extend_bytes::int8",
            "Bytes that relations were extended by.",
            "bytes",
            needs="pg_stat_io.extend_bytes",
            otherwise="extends * op_bytes",
        ),
        Column("extend_time_ms", "extend_time", "Time spent extending.", "ms"),
        Column("writebacks", "writebacks", "Blocks that the kernel was asked to write out.", "count"),
        Column("fsyncs", "fsyncs", "Calls of fsync.", "count"),
        Column("fsync_time_ms", "fsync_time", "Time spent in fsync.", "ms"),
        Column("hits", "hits", "Blocks found in shared buffers.", "count"),
        Column("evictions", "evictions", "Buffers that were given another block.", "count"),
        Column("reuses", "reuses", "Buffers of a ring that were used again.", "count"),
        Column("stats_reset", "stats_reset", "When the counters were reset.", "timestamp"),
    ),
    source="FROM pg_stat_io",
)


def _read(reader: Reader) -> tuple[Io, ...]:
    rows: tuple[Io, ...] = reader.rows(IO) if IO.asks(reader.facts) else ()
    return rows


def _family(name: str, text: str, value: Callable[[Io], float | None]) -> Family[tuple[Io, ...]]:
    """What never happened is not exported: most combinations are zero for good, on hundreds of servers."""
    return Family(
        name=f"io_{name}",
        help=text,
        rows=lambda rows: rows,
        value=lambda row: value(row) or None,
        labels={
            "backend_type": lambda row: row.backend_type,
            "object": lambda row: row.object,
            "context": lambda row: row.context,
        },
        counter=True,
    )


def _seconds(value_ms: float | None) -> float | None:
    return None if value_ms is None else value_ms / 1000


COLLECTOR = Collector(
    name="io",
    summary="Reads, writes, extensions and fsyncs by backend type, object and context (16 and later)",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(IO,),
    read=_read,
    tables={IO.name: lambda rows: rows},
    families=(
        _family("reads", "Read operations.", lambda row: row.reads),
        _family("read_bytes", "Bytes read.", lambda row: row.read_bytes),
        _family("read_seconds", "Time spent reading.", lambda row: _seconds(row.read_time_ms)),
        _family("writes", "Write operations.", lambda row: row.writes),
        _family("write_bytes", "Bytes written.", lambda row: row.write_bytes),
        _family("write_seconds", "Time spent writing.", lambda row: _seconds(row.write_time_ms)),
        _family("extends", "Extensions of relations.", lambda row: row.extends),
        _family("extend_bytes", "Bytes that relations were extended by.", lambda row: row.extend_bytes),
        _family("extend_seconds", "Time spent extending.", lambda row: _seconds(row.extend_time_ms)),
        _family("writebacks", "Blocks that the kernel was asked to write out.", lambda row: row.writebacks),
        _family("fsyncs", "Calls of fsync.", lambda row: row.fsyncs),
        _family("fsync_seconds", "Time spent in fsync.", lambda row: _seconds(row.fsync_time_ms)),
        _family("hits", "Blocks found in shared buffers.", lambda row: row.hits),
        _family("evictions", "Buffers that were given another block.", lambda row: row.evictions),
        _family("reuses", "Buffers of a ring that were used again.", lambda row: row.reuses),
    ),
)
