"""Collations whose version is another one than when indexes were built with them: the order of text has changed below.

The server records the version of the C library or of ICU with a collation, and from PostgreSQL 15 on with a database.
When an upgrade of the operating system brings another one, indexes and range partitions may be in an order that is
no longer true. Only catalogues are read; collations that no index or partition key uses are not asked for.
"""

from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query

DEFAULT_OID = 100  # pg_collation: the database's own collation, on every version


class Drift(NamedTuple):
    """`recorded` is the version that the indexes were built with, `actual` the one that the server has now."""

    oid: int
    schema: str
    name: str
    provider: str
    recorded: str
    actual: str

    @property
    def of_database(self) -> bool:
        """Whether it is the database's own collation."""
        return self.oid == DEFAULT_OID


class Dependent(NamedTuple):
    """An index in the order of one of those collations. `total` counts also those beyond the first 200."""

    schema: str
    name: str
    relation: str
    unique: bool
    size_bytes: float
    collations: list[int]
    total: int


class Partitioned(NamedTuple):
    """A table that is partitioned by ranges in the order of one of them."""

    schema: str
    name: str
    collations: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollationsReading:
    """Of one database. `indexes` are unique ones first, then by size."""

    drifted: tuple[Drift, ...] = ()
    indexes: tuple[Dependent, ...] = ()
    partitioned: tuple[Partitioned, ...] = ()


DATABASE = Query(
    name="collations_database",
    row=Drift,
    columns=(
        Column("oid", "100", "Oid of the collation."),
        Column("schema", "'pg_catalog'", "Schema."),
        Column("name", "'default'", "Name."),
        Column(
            "provider",
            "CASE d.datlocprovider WHEN 'i' THEN 'ICU' WHEN 'b' THEN 'PostgreSQL' ELSE 'the C library' END",
            "What orders text.",
            needs="pg_database.datlocprovider",
            otherwise="''",
        ),
        Column(
            "recorded",
            "coalesce(d.datcollversion, '')",
            "Version when it was recorded.",
            needs="pg_database.datcollversion",
            otherwise="''",
        ),
        Column(
            "actual",
            "coalesce(pg_database_collation_actual_version(d.oid), '')",
            "Version now; empty for one that never changes.",
            needs="pg_database.datcollversion",
            otherwise="''",
        ),
    ),
    source="FROM pg_database AS d WHERE d.datname = current_database()",
)

USED = Query(
    name="collations",
    row=Drift,
    columns=(
        Column("oid", "c.oid::int8", "Oid of the collation."),
        Column("schema", "n.nspname::text", "Schema."),
        Column("name", "c.collname::text", "Name."),
        Column(
            "provider",
            "CASE c.collprovider WHEN 'i' THEN 'ICU' WHEN 'b' THEN 'PostgreSQL' ELSE 'the C library' END",
            "What orders text.",
        ),
        Column("recorded", "c.collversion", "Version when it was recorded."),
        Column("actual", "coalesce(pg_collation_actual_version(c.oid), '')", "Version now."),
    ),
    source="""
    FROM (
      SELECT unnest(i.indcollation::oid[]) AS oid FROM pg_index AS i
      UNION
      SELECT unnest(p.partcollation::oid[]) FROM pg_partitioned_table AS p
    ) AS used
    JOIN pg_collation AS c ON c.oid = used.oid
    JOIN pg_namespace AS n ON n.oid = c.collnamespace
    WHERE c.collversion IS NOT NULL
    """,
)

# A hash is by bytes, and pattern operator classes compare bytes: neither depends on an order of letters.
INDEXES = Query(
    name="collations_indexes",
    row=Dependent,
    columns=(
        Column("schema", "n.nspname::text", "Schema."),
        Column("name", "x.relname::text", "Index."),
        Column("relation", "r.relname::text", "Its table."),
        Column("unique", "i.indisunique", "Whether duplicates may have come in.", "flag"),
        Column(
            "size_bytes",
            "x.relpages::float8 * current_setting('block_size')::int4",
            "Its size when it was last vacuumed.",
            "bytes",
        ),
        Column("collations", "hit.collations", "Which of the collations, by oid."),
        Column("total", "count(*) OVER ()", "How many indexes there are.", "count"),
    ),
    source="""
    FROM pg_index AS i
    JOIN pg_class AS x ON x.oid = i.indexrelid AND x.relkind = 'i'
    JOIN pg_am AS m ON m.oid = x.relam AND m.amname <> 'hash'
    JOIN pg_namespace AS n ON n.oid = x.relnamespace
    JOIN pg_class AS r ON r.oid = i.indrelid AND r.relpersistence <> 't'
    CROSS JOIN LATERAL (
      SELECT array_agg(DISTINCT k.collation_oid::int8) AS collations
      FROM unnest(i.indcollation::oid[], i.indclass::oid[]) AS k(collation_oid, class_oid)
      JOIN pg_opclass AS o ON o.oid = k.class_oid AND right(o.opcname::text, 12) <> '_pattern_ops'
      WHERE k.collation_oid = ANY (%(collations)s::oid[])
    ) AS hit
    WHERE hit.collations IS NOT NULL
    ORDER BY i.indisunique DESC, x.relpages DESC, 1, 2
    LIMIT 200
    """,
)

PARTITIONED = Query(
    name="collations_partitioned",
    row=Partitioned,
    columns=(
        Column("schema", "n.nspname::text", "Schema."),
        Column("name", "r.relname::text", "Table."),
        Column("collations", "hit.collations", "Which of the collations, by oid."),
    ),
    source="""
    FROM pg_partitioned_table AS p
    JOIN pg_class AS r ON r.oid = p.partrelid
    JOIN pg_namespace AS n ON n.oid = r.relnamespace
    CROSS JOIN LATERAL (
      SELECT array_agg(DISTINCT k.collation_oid::int8) AS collations
      FROM unnest(p.partcollation::oid[]) AS k(collation_oid)
      WHERE k.collation_oid = ANY (%(collations)s::oid[])
    ) AS hit
    WHERE p.partstrat = 'r' AND hit.collations IS NOT NULL
    ORDER BY 1, 2
    LIMIT 100
    """,
)


def read(reader: Reader) -> CollationsReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    seen: tuple[Drift, ...] = (*reader.rows(DATABASE), *reader.rows(USED))
    # Either is empty where nothing is recorded (a database from before 15), or where nothing can change.
    drifted = tuple(each for each in seen if each.recorded and each.actual and each.recorded != each.actual)
    if not drifted:
        return CollationsReading()
    oids = {"collations": [each.oid for each in drifted]}
    return CollationsReading(
        drifted=drifted,
        indexes=reader.rows(INDEXES, oids),
        partitioned=reader.rows(PARTITIONED, oids),
    )


COLLECTOR = Collector(
    name="collations",
    summary="Collations whose version has changed below the database, and the indexes and partitions in their order.",
    lane=LaneKind.DATABASES,
    interval_s=3600.0,
    timeout_s=10.0,
    queries=(DATABASE, USED, INDEXES, PARTITIONED),
    read=read,
    tables={
        USED.name: lambda reading: reading.drifted,
        INDEXES.name: lambda reading: reading.indexes,
        PARTITIONED.name: lambda reading: reading.partitioned,
    },
    families=(
        Family(
            name="collations_drifted",
            help="Collations with another version than the indexes in their order were built with.",
            rows=lambda reading: (reading,),
            value=lambda reading: float(len(reading.drifted)),
        ),
    ),
)
