"""Extensions of a database, in the version that it has and the one that the server's files would give."""

from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query


class InstalledExtension(NamedTuple):
    """`offered` is None where the server has no files of it any more."""

    name: str
    schema: str
    installed: str
    offered: str | None

    @property
    def behind(self) -> bool:
        """Whether the files are of another version."""
        return self.offered != self.installed


EXTENSIONS = Query(
    name="server_extensions",
    row=InstalledExtension,
    columns=(
        Column("name", "e.extname::text", "Name."),
        Column("schema", "n.nspname::text", "Schema."),
        Column("installed", "e.extversion", "Version in this database."),
        Column("offered", "a.default_version::text", "Version that the server's files have."),
    ),
    source="""
    FROM pg_extension AS e
    JOIN pg_namespace AS n ON n.oid = e.extnamespace
    LEFT JOIN pg_available_extensions() AS a(name, default_version, comment) ON a.name = e.extname
    ORDER BY 1
    """,
)


def read(reader: Reader) -> tuple[InstalledExtension, ...]:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    return reader.rows(EXTENSIONS)


COLLECTOR = Collector(
    name="server_extensions",
    summary="Extensions of each database with their versions, and the versions of the server's files.",
    lane=LaneKind.DATABASES,
    interval_s=3600.0,
    timeout_s=10.0,
    queries=(EXTENSIONS,),
    read=read,
    tables={EXTENSIONS.name: lambda rows: rows},
    families=(
        Family(
            name="extensions_outdated",
            help="Extensions of the database with another version than the server's files.",
            rows=lambda rows: (rows,),
            value=lambda rows: float(sum(each.behind for each in rows)),
        ),
    ),
)
