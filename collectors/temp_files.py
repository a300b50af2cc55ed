"""Temporary files that are there now, and whose they are: one sort without a limit can fill the volume in minutes."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query, start_of
from pgvigil.sql.kept import StatementText

_OWNER = re.compile(r"pgsql_tmp(\d+)\.")


class TempFile(NamedTuple):
    """One file. Those of a parallel hash join lie in a directory of their own, which SQL cannot look into."""

    name: str
    size_bytes: int


class TempOwner(NamedTuple):
    """A session that has temporary files. Its statement is cut, and has its literals."""

    pid: int
    backend_start: datetime
    database: str | None
    user_name: str | None
    application: str
    query_age_s: float | None
    query: StatementText | None


class Allowed(NamedTuple):
    tmpdir: bool


class Holder(NamedTuple):
    """What one process holds; `owner` is None where it has gone, and left files behind for a restart to remove."""

    pid: int
    size_bytes: int
    files: int
    owner: TempOwner | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TempFilesReading:
    """`holders` is None where the role may not look."""

    holders: tuple[Holder, ...] | None

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.holders or ())


ALLOWED = Query(
    name="temp_files_allowed",
    row=Allowed,
    columns=(
        Column("tmpdir", "has_function_privilege('pg_catalog.pg_ls_tmpdir(oid)', 'EXECUTE')", unit="flag"),
    ),
    source="",
)

FILES = Query(
    name="temp_files",
    row=TempFile,
    columns=(
        Column("name", "f.name", "File."),
        Column("size_bytes", "f.size", "Its size.", "bytes"),
    ),
    source="FROM pg_tablespace AS t, pg_ls_tmpdir(t.oid) AS f WHERE t.spcname <> 'pg_global'"
    " ORDER BY f.size DESC LIMIT 5000",
)

OWNERS = Query(
    name="temp_files_owners",
    row=TempOwner,
    columns=(
        Column("pid", "pid"),
        Column("backend_start", "backend_start", "When it connected.", "timestamp"),
        Column("database", "datname::text"),
        Column("user_name", "usename::text"),
        Column("application", "coalesce(application_name, '')"),
        Column(
            "query_age_s",
            "extract(epoch FROM clock_timestamp() - query_start)::float8",
            "Since its statement began.",
            "s",
        ),
        Column("query", start_of("query", 1000), "Its statement, cut; with literals."),
    ),
    source="FROM pg_stat_activity WHERE pid = ANY (%(pids)s::int4[]) AND backend_start IS NOT NULL",
)


def read(reader: Reader) -> TempFilesReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (allowed,) = reader.rows(ALLOWED)
    if not allowed.tmpdir:
        return TempFilesReading(holders=None)
    held: defaultdict[int, list[int]] = defaultdict(list)
    for file in reader.rows(FILES):
        owner = _OWNER.match(file.name)
        held[int(owner[1]) if owner else 0].append(file.size_bytes)
    owners = {each.pid: each for each in reader.rows(OWNERS, {"pids": [*held]})} if held else {}
    return TempFilesReading(
        holders=tuple(
            Holder(pid, sum(sizes), len(sizes), owners.get(pid))
            for pid, sizes in sorted(held.items(), key=lambda item: -sum(item[1]))
        )
    )


COLLECTOR = Collector(
    name="temp_files",
    summary="Temporary files that are there now, and the sessions that they belong to",
    lane=LaneKind.SERVER,
    interval_s=60.0,
    timeout_s=5.0,
    queries=(ALLOWED, FILES, OWNERS),
    read=read,
    families=(
        Family(
            name="temp_files_bytes",
            help="Temporary files that are there now.",
            rows=lambda reading: () if reading.holders is None else (reading,),
            value=lambda reading: reading.size_bytes,
        ),
    ),
)
