"""Whether the write-ahead log reaches its archive, and what still waits for it.

archive_command is not read: it may hold secrets.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class Archiver(NamedTuple):
    """pg_stat_archiver, and how archiving is set up. `active`: this server archives, in the role that it has now.

    Ages are by the server's clock. A success or failure that never was is None.
    """

    active: bool
    configured: bool
    segment_bytes: int
    archived: int
    last_archived_wal: str | None
    last_archived_at: datetime | None
    since_archived_s: float | None
    failed: int
    last_failed_wal: str | None
    last_failed_at: datetime | None
    since_failed_s: float | None
    stats_reset: datetime | None
    may_list: bool

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        if self.last_failed_at is None:
            return False
        return self.last_archived_at is None or self.last_failed_at > self.last_archived_at


class Ready(NamedTuple):
    """Files that wait for the archiver; `oldest_s` is how long the first of them has."""

    files: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiverReading:
    """`ready` is None where this server does not archive, or the role may not list what waits."""

    archiver: Archiver
    ready: Ready | None

    @property
    def waiting_bytes(self) -> int | None:
        """WAL that cannot be removed before it is archived."""
        return None if self.ready is None else self.ready.files * self.archiver.segment_bytes


ARCHIVER = Query(
    name="archiver",
    row=Archiver,
    columns=(
        Column(
            "active",
            "CASE current_setting('archive_mode') WHEN 'on' THEN NOT pg_is_in_recovery() WHEN 'always' THEN true"
            " ELSE false END",
            "Whether this server archives.",
            "flag",
        ),
        Column(
            "configured",
            "current_setting('archive_command') NOT IN ('', '(disabled)')"
            " OR coalesce(current_setting('archive_library', true), '') <> ''",
            "Whether a command or library is set.",
            "flag",
        ),
        Column("segment_bytes", "pg_size_bytes(current_setting('wal_segment_size'))", unit="bytes"),
        Column("archived", "archived_count", "Files archived.", "count"),
        Column("last_archived_wal", "last_archived_wal", "The last one."),
        Column("last_archived_at", "last_archived_time", "When.", "timestamp"),
        Column(
            "since_archived_s", "extract(epoch FROM clock_timestamp() - last_archived_time)::float8", unit="s"
        ),
        Column("failed", "failed_count", "Attempts that failed.", "count"),
        Column("last_failed_wal", "last_failed_wal", "The file that could not be archived last."),
        Column("last_failed_at", "last_failed_time", "When.", "timestamp"),
        Column(
            "since_failed_s", "extract(epoch FROM clock_timestamp() - last_failed_time)::float8", unit="s"
        ),
        Column("stats_reset", "stats_reset", "When the counters were reset.", "timestamp"),
        Column("may_list", "has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE')", unit="flag"),
    ),
    source="FROM pg_stat_archiver",
)

READY = Query(
    name="archiver_ready",
    row=Ready,
    columns=(
        Column("files", "count(*)", "Files that wait for the archiver.", "count"),
        Column(
            "oldest_s",
            "extract(epoch FROM clock_timestamp() - min(modification))::float8",
            "How long the first of them has waited.",
            "s",
        ),
    ),
    source="FROM pg_ls_archive_statusdir() WHERE right(name, 6) = '.ready'",
)


def _read(reader: Reader) -> ArchiverReading:
    (archiver,) = reader.rows(ARCHIVER)
    listed = archiver.active and archiver.may_list
    return ArchiverReading(archiver=archiver, ready=reader.rows(READY)[0] if listed else None)


def _ready(reading: ArchiverReading) -> Iterable[Sample]:
    return () if reading.ready is None else (Sample("", float(reading.ready.files)),)


def _failed(reading: ArchiverReading) -> Iterable[Sample]:
    reset = reading.archiver.stats_reset
    yield Sample("", float(reading.archiver.failed), "" if reset is None else reset.isoformat())


def _stamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


COLLECTOR = Collector(
    name="archiver",
    summary="Archiving of write-ahead log: successes, failures, and the files that wait",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(ARCHIVER, READY),
    read=_read,
    tables={
        ARCHIVER.name: lambda reading: (reading.archiver,),
        READY.name: lambda reading: () if reading.ready is None else (reading.ready,),
    },
    series={"ready": _ready, "failed": _failed},
    families=(
        Family(
            name="archiver_archived",
            help="WAL files archived.",
            rows=lambda reading: (reading.archiver,),
            value=lambda row: row.archived,
            counter=True,
        ),
        Family(
            name="archiver_failed",
            help="Attempts to archive a WAL file that failed.",
            rows=lambda reading: (reading.archiver,),
            value=lambda row: row.failed,
            counter=True,
        ),
        Family(
            name="archiver_last_archived_timestamp_seconds",
            help="When a WAL file was last archived.",
            rows=lambda reading: (reading.archiver,),
            value=lambda row: _stamp(row.last_archived_at),
        ),
        Family(
            name="archiver_last_failed_timestamp_seconds",
            help="When archiving a WAL file last failed.",
            rows=lambda reading: (reading.archiver,),
            value=lambda row: _stamp(row.last_failed_at),
        ),
        Family(
            name="archiver_active",
            help="1 where the server archives WAL.",
            rows=lambda reading: (reading.archiver,),
            value=lambda row: float(row.active),
        ),
        Family(
            name="archiver_ready_files",
            help="WAL files that wait for the archiver.",
            rows=lambda reading: () if reading.ready is None else (reading.ready,),
            value=lambda row: row.files,
        ),
    ),
)
