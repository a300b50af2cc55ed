"""The largest tables with their indexes and TOAST, so that growth has a name.

Which are the largest the catalogue knows from the last VACUUM or ANALYZE, for nothing; only their sizes are asked of
the file system. Catalogues come after the tables of users, but for the one of large objects. That opens the relation, so one that is under ACCESS EXCLUSIVE, or waited for with it, is left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.model.series import Sample
from pgvigil.plugins import Collector, LaneKind, Reader
from pgvigil.postgres.query import Column, Query
from pgvigil.sql.identifiers import quote_name

MOST = 50


class Locked(NamedTuple):
    relations: list[int]


class RelationSize(NamedTuple):
    """A table or materialised view. `total_bytes` is with indexes and TOAST; None where it is locked now.

    `file` is its storage: another one after TRUNCATE, VACUUM FULL, CLUSTER or a rewrite.
    """

    oid: int
    schema: str
    name: str
    table_bytes: int | None
    index_bytes: int | None
    total_bytes: int | None
    file: int
    locked: bool

    @property
    def shown(self) -> str:
        return quote_name(self.schema, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationSizesReading:
    """The largest, by what the catalogue says of their pages."""

    relations: tuple[RelationSize, ...]


LOCKED = Query(
    name="relation_sizes_locked",
    row=Locked,
    columns=(Column("relations", "coalesce(array_agg(DISTINCT relation), '{}')"),),
    source="""
    FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """,
)

SIZES = Query(
    name="relation_sizes",
    row=RelationSize,
    columns=(
        Column("oid", "t.oid::int8"),
        Column("schema", "n.nspname::text"),
        Column("name", "t.relname::text"),
        Column("table_bytes", "CASE WHEN NOT t.locked THEN pg_table_size(t.oid) END", "With TOAST.", "bytes"),
        Column("index_bytes", "CASE WHEN NOT t.locked THEN pg_indexes_size(t.oid) END", "Indexes.", "bytes"),
        Column(
            "total_bytes", "CASE WHEN NOT t.locked THEN pg_total_relation_size(t.oid) END", "All.", "bytes"
        ),
        Column("file", "t.relfilenode::int8"),
        Column("locked", "t.locked", unit="flag"),
    ),
    source=f"""
    FROM (
      SELECT c.oid, c.relname, c.relnamespace, c.relfilenode,
             coalesce(i.locked, false) OR coalesce(c.oid = ANY (%(locked)s::oid[]), false)
               OR coalesce(c.reltoastrelid = ANY (%(locked)s::oid[]), false) AS locked
      FROM pg_class AS c
      LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid
      LEFT JOIN (
        SELECT x.indrelid, sum(ic.relpages) AS pages, bool_or(ic.oid = ANY (%(locked)s::oid[])) AS locked
        FROM pg_index AS x JOIN pg_class AS ic ON ic.oid = x.indexrelid GROUP BY 1
      ) AS i ON i.indrelid = c.oid
      WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
      ORDER BY c.relnamespace = 'pg_catalog'::regnamespace AND c.oid <> 'pg_largeobject'::regclass,
               c.relpages + coalesce(toast.relpages, 0) + coalesce(i.pages, 0) DESC, c.oid DESC
      LIMIT {MOST}
    ) AS t
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    ORDER BY 6 DESC NULLS LAST
    """,
)


def read(reader: Reader) -> RelationSizesReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    (locked,) = reader.rows(LOCKED)
    return RelationSizesReading(relations=reader.rows(SIZES, {"locked": locked.relations}))


def _samples(reading: RelationSizesReading) -> Iterable[Sample]:
    for each in reading.relations:
        if each.total_bytes is not None:
            yield Sample(str(each.oid), float(each.total_bytes), epoch=str(each.file))


COLLECTOR = Collector(
    name="relation_sizes",
    summary="The largest tables of each database, with their indexes",
    lane=LaneKind.DATABASES,
    interval_s=1800.0,
    timeout_s=10.0,
    queries=(LOCKED, SIZES),
    read=read,
    tables={SIZES.name: lambda reading: reading.relations},
    series={"total": _samples},
)
