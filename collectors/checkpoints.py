"""Checkpoints, why they came, and what they wrote: pg_stat_bgwriter, and from 17 on pg_stat_checkpointer."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Checkpoints(NamedTuple):
    """Counters since `stats_reset`, and the settings that decide when a checkpoint comes.

    `timed` came after checkpoint_timeout, `requested` because WAL reached its share of max_wal_size, or somebody
    asked. On a standby before 17 they count restartpoints too. Writes and fsyncs by other backends are None from 17
    on: pg_stat_io has them. `position_bytes` is how much WAL was ever written, None on a standby.
    """

    timed: int
    requested: int
    write_time_ms: float
    sync_time_ms: float
    buffers_written: int
    buffers_clean: int
    maxwritten_clean: int
    buffers_alloc: int
    buffers_backend: int | None
    buffers_backend_fsync: int | None
    restartpoints_timed: int | None
    restartpoints_requested: int | None
    restartpoints_done: int | None
    stats_reset: datetime | None
    in_recovery: bool
    position_bytes: int | None
    timeline: str | None
    max_wal_size_bytes: int
    checkpoint_timeout_s: float
    completion_target: float

    @property
    def epoch(self) -> str:
        """Another one after a reset, and on another timeline."""
        return f"{self.timeline}/{'' if self.stats_reset is None else self.stats_reset.isoformat()}"


_SETTINGS = (
    Column("in_recovery", "pg_is_in_recovery()", unit="flag"),
    Column(
        "position_bytes",
        "CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_insert_lsn() - '0/0')::int8 END",
        "WAL ever written, as a number of bytes.",
        "bytes",
    ),
    Column(
        "timeline",
        "CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END",
    ),
    Column("max_wal_size_bytes", "pg_size_bytes(current_setting('max_wal_size'))", unit="bytes"),
    Column(
        "checkpoint_timeout_s",
        "extract(epoch FROM current_setting('checkpoint_timeout')::interval)::float8",
        unit="s",
    ),
    Column("completion_target", "current_setting('checkpoint_completion_target')::float8"),
)

BGWRITER = Query(
    name="checkpoints_bgwriter",
    row=Checkpoints,
    needs="pg_stat_bgwriter.checkpoints_timed",
    columns=(
        Column("timed", "checkpoints_timed", "Checkpoints after checkpoint_timeout.", "count"),
        Column("requested", "checkpoints_req", "Checkpoints for another reason.", "count"),
        Column("write_time_ms", "checkpoint_write_time", unit="ms"),
        Column("sync_time_ms", "checkpoint_sync_time", unit="ms"),
        Column("buffers_written", "buffers_checkpoint", "Buffers written by checkpoints.", "blocks"),
        Column("buffers_clean", "buffers_clean", "Buffers written by the background writer.", "blocks"),
        Column("maxwritten_clean", "maxwritten_clean", "Times that it wrote too many in a round.", "count"),
        Column("buffers_alloc", "buffers_alloc", "Buffers allocated.", "blocks"),
        Column("buffers_backend", "buffers_backend", "Buffers written by sessions themselves.", "blocks"),
        Column("buffers_backend_fsync", "buffers_backend_fsync", "Fsyncs by sessions themselves.", "count"),
        Column("restartpoints_timed", "NULL::bigint", unit="count"),
        Column("restartpoints_requested", "NULL::bigint", unit="count"),
        Column("restartpoints_done", "NULL::bigint", unit="count"),
        Column("stats_reset", "stats_reset", "When the counters were reset.", "timestamp"),
        *_SETTINGS,
    ),
    source="FROM pg_stat_bgwriter",
)

CHECKPOINTER = Query(
    name="checkpoints_checkpointer",
    row=Checkpoints,
    needs="pg_stat_checkpointer.num_timed",
    columns=(
        Column("timed", "c.num_timed", "Checkpoints after checkpoint_timeout.", "count"),
        Column("requested", "c.num_requested", "Checkpoints for another reason.", "count"),
        Column("write_time_ms", "c.write_time", unit="ms"),
        Column("sync_time_ms", "c.sync_time", unit="ms"),
        Column("buffers_written", "c.buffers_written", "Buffers written by checkpoints.", "blocks"),
        Column("buffers_clean", "w.buffers_clean", "Buffers written by the background writer.", "blocks"),
        Column("maxwritten_clean", "w.maxwritten_clean", "Times that it wrote too many in a round.", "count"),
        Column("buffers_alloc", "w.buffers_alloc", "Buffers allocated.", "blocks"),
        Column("buffers_backend", "NULL::bigint", unit="blocks"),
        Column("buffers_backend_fsync", "NULL::bigint", unit="count"),
        Column("restartpoints_timed", "c.restartpoints_timed", unit="count"),
        Column("restartpoints_requested", "c.restartpoints_req", unit="count"),
        Column("restartpoints_done", "c.restartpoints_done", unit="count"),
        Column("stats_reset", "c.stats_reset", "When the counters were reset.", "timestamp"),
        *_SETTINGS,
    ),
    source="FROM pg_stat_checkpointer AS c CROSS JOIN pg_stat_bgwriter AS w",
)


def _read(reader: Reader) -> Checkpoints:
    query = CHECKPOINTER if CHECKPOINTER.asks(reader.facts) else BGWRITER
    (row,) = reader.rows(query)
    checkpoints: Checkpoints = row
    return checkpoints


def _series(value: Callable[[Checkpoints], float | None]) -> Callable[[Checkpoints], Iterable[Sample]]:
    def samples(reading: Checkpoints) -> Iterable[Sample]:
        known = value(reading)
        return () if known is None else (Sample("", float(known), reading.epoch),)

    return samples


def _counter(name: str, text: str, value: Callable[[Checkpoints], float | None]) -> Family[Checkpoints]:
    return Family(name=name, help=text, rows=lambda reading: (reading,), value=value, counter=True)


COLLECTOR = Collector(
    name="checkpoints",
    summary="Checkpoints by their cause, what they and the background writer wrote, and how long it took",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(BGWRITER, CHECKPOINTER),
    read=_read,
    tables={BGWRITER.name: lambda reading: (reading,)},
    series={
        "timed": _series(lambda reading: reading.timed),
        "requested": _series(lambda reading: reading.requested),
        "position_bytes": _series(lambda reading: reading.position_bytes),
    },
    families=(
        _counter("checkpoints_timed", "Checkpoints after checkpoint_timeout.", lambda row: row.timed),
        _counter("checkpoints_requested", "Checkpoints for another reason.", lambda row: row.requested),
        _counter("checkpoint_write_seconds", "Time spent writing.", lambda row: row.write_time_ms / 1000),
        _counter("checkpoint_sync_seconds", "Time spent syncing.", lambda row: row.sync_time_ms / 1000),
        _counter("checkpoint_buffers", "Buffers written by checkpoints.", lambda row: row.buffers_written),
        _counter(
            "restartpoints_timed", "Restartpoints after a timeout.", lambda row: row.restartpoints_timed
        ),
        _counter(
            "restartpoints_requested",
            "Restartpoints that were requested.",
            lambda row: row.restartpoints_requested,
        ),
        _counter("restartpoints_done", "Restartpoints performed.", lambda row: row.restartpoints_done),
        _counter(
            "bgwriter_buffers", "Buffers written by the background writer.", lambda row: row.buffers_clean
        ),
        _counter(
            "bgwriter_maxwritten",
            "Rounds that the background writer stopped because it had written too many buffers.",
            lambda row: row.maxwritten_clean,
        ),
        _counter("buffers_allocated", "Buffers allocated.", lambda row: row.buffers_alloc),
        _counter(
            "backend_buffers",
            "Buffers written by sessions themselves (before 17).",
            lambda row: row.buffers_backend,
        ),
        _counter(
            "backend_fsyncs",
            "Fsyncs by sessions themselves (before 17).",
            lambda row: row.buffers_backend_fsync,
        ),
    ),
)
