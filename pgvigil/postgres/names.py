"""Names of things that the server-wide views give only as numbers."""

from collections.abc import Iterable
from typing import NamedTuple

from pgvigil.plugins import Reader
from pgvigil.postgres.query import Column, Query


class RelationName(NamedTuple):
    oid: int
    schema: str
    name: str


RELATIONS = Query(
    name="relation_names",
    row=RelationName,
    columns=(
        Column("oid", "c.oid::int8", "object id"),
        Column("schema", "n.nspname::text", "schema"),
        Column("name", "c.relname::text", "relation"),
    ),
    # The catalogs alone: regclass output or size functions could wait for a lock.
    source="FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = ANY(%(oids)s::oid[])",
)


def relation_names(reader: Reader, oids: Iterable[int]) -> dict[int, str]:
    """`schema.name` by oid, in the database that the reader is connected to; dropped relations are absent."""
    rows: tuple[RelationName, ...] = reader.rows(RELATIONS, {"oids": list(oids)})
    return {row.oid: f"{row.schema}.{row.name}" for row in rows}
