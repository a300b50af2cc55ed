"""What takes the room: databases, tablespaces, the write-ahead log.

Sizes come from the file system: pgvigil asks seldom, because a server with many files needs a moment for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class DatabaseSize(NamedTuple):
    """One database, in all its tablespaces. None where the role may not know, or it has just been dropped."""

    name: str
    size_bytes: int | None


class TablespaceSize(NamedTuple):
    """A tablespace of its own: mostly another volume. None where the role may not know."""

    name: str
    size_bytes: int | None


class Wal(NamedTuple):
    """The directory of the write-ahead log."""

    size_bytes: int
    files: int


class Allowed(NamedTuple):
    """Which functions the role may call: managed services close some."""

    waldir: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SizesReading:
    """`wal` is None where the role may not look into its directory."""

    databases: tuple[DatabaseSize, ...]
    tablespaces: tuple[TablespaceSize, ...]
    wal: Wal | None

    @property
    def volume_bytes(self) -> int | None:
        """What lies on the volume of the data directory: databases but for their parts in other tablespaces, and
        the write-ahead log. None where a part of it is not known.
        """
        sizes = [each.size_bytes for each in self.databases]
        elsewhere = [each.size_bytes for each in self.tablespaces]
        if None in sizes or None in elsewhere or self.wal is None:
            return None
        return sum(filter(None, sizes)) - sum(filter(None, elsewhere)) + self.wal.size_bytes


ALLOWED = Query(
    name="database_sizes_allowed",
    row=Allowed,
    columns=(
        Column("waldir", "has_function_privilege('pg_catalog.pg_ls_waldir()', 'EXECUTE')", unit="flag"),
    ),
    source="",
)

# An unconnectable database may be half dropped: its files are of no interest. Of one that was dropped since the
# statement began a privilege is NULL, where asking for its size fails; a superuser has all, so another role is asked for.
DATABASES = Query(
    name="database_sizes",
    row=DatabaseSize,
    columns=(
        Column("name", "datname::text", "Database."),
        Column(
            "size_bytes",
            "CASE WHEN has_database_privilege('pg_read_all_stats', oid, 'CONNECT') IS NULL THEN NULL"
            " WHEN pg_has_role('pg_read_all_stats', 'USAGE') OR has_database_privilege(oid, 'CONNECT')"
            " THEN pg_database_size(oid) END",
            "Its size on disk, in all its tablespaces.",
            "bytes",
        ),
    ),
    source="FROM pg_database WHERE datconnlimit <> -2 ORDER BY 2 DESC NULLS LAST",
)

TABLESPACES = Query(
    name="database_sizes_tablespaces",
    row=TablespaceSize,
    columns=(
        Column("name", "spcname::text", "Tablespace."),
        Column(
            "size_bytes",
            "CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') OR has_tablespace_privilege(oid, 'CREATE')"
            " THEN pg_tablespace_size(oid) END",
            "Its size on disk.",
            "bytes",
        ),
    ),
    source="FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')",
)

WAL = Query(
    name="database_sizes_wal",
    row=Wal,
    columns=(
        Column("size_bytes", "coalesce(sum(size), 0)::int8", "Size of the write-ahead log.", "bytes"),
        Column("files", "count(*)", "Its files.", "count"),
    ),
    source="FROM pg_ls_waldir()",
)


def read(reader: Reader) -> SizesReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (allowed,) = reader.rows(ALLOWED)
    return SizesReading(
        databases=reader.rows(DATABASES),
        tablespaces=reader.rows(TABLESPACES),
        wal=reader.rows(WAL)[0] if allowed.waldir else None,
    )


def _volume(reading: SizesReading) -> Iterable[Sample]:
    if reading.volume_bytes is not None:
        yield Sample("", float(reading.volume_bytes))


def _databases(reading: SizesReading) -> Iterable[Sample]:
    known = [each for each in reading.databases if each.size_bytes is not None]
    return (Sample(each.name, float(each.size_bytes or 0)) for each in known[:50])


COLLECTOR = Collector(
    name="database_sizes",
    summary="Sizes of databases, tablespaces and the write-ahead log",
    lane=LaneKind.SERVER,
    interval_s=600.0,
    timeout_s=10.0,
    queries=(ALLOWED, DATABASES, TABLESPACES, WAL),
    read=read,
    tables={
        DATABASES.name: lambda reading: reading.databases,
        TABLESPACES.name: lambda reading: reading.tablespaces,
        WAL.name: lambda reading: () if reading.wal is None else (reading.wal,),
    },
    series={"volume": _volume, "database": _databases},
    families=(
        Family(
            name="database_size_bytes",
            help="Size of a database on disk.",
            rows=lambda reading: reading.databases,
            value=lambda row: row.size_bytes,
            labels={"database": lambda row: row.name},
        ),
        Family(
            name="tablespace_size_bytes",
            help="Size of a tablespace other than the default one.",
            rows=lambda reading: reading.tablespaces,
            value=lambda row: row.size_bytes,
            labels={"tablespace": lambda row: row.name},
        ),
        Family(
            name="wal_size_bytes",
            help="Size of the directory of the write-ahead log.",
            rows=lambda reading: () if reading.wal is None else (reading.wal,),
            value=lambda row: row.size_bytes,
        ),
    ),
)
