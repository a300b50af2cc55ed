"""Guarantees that a database seems to give and does not: constraints that are not validated or not enforced,
foreign keys whose triggers are off, indexes that are not valid.

Only catalogues are read. What needs a lock on a relation (its definition, its size) is not asked for relations
that are under ACCESS EXCLUSIVE or waited for with it: a monitor must not stand in the queue behind DDL.
"""

from dataclasses import dataclass
from typing import NamedTuple

from pgvigil.plugins import Collector, LaneKind, Reader
from pgvigil.postgres.locked import LOCKED
from pgvigil.postgres.query import Column, Query


class UnprovenConstraint(NamedTuple):
    """A constraint that existing rows need not satisfy; with `enforced` False, new ones neither (18+).

    `relation` is a table, or a domain where `on_domain`. `definition` is None where the relation is `locked`.
    """

    schema: str
    relation: str
    name: str
    kind: str
    on_domain: bool
    enforced: bool
    estimated_rows: float | None
    locked: bool
    definition: str | None


class DisabledForeignKey(NamedTuple):
    """A foreign key some of whose triggers are off: `checks_off` on the side of the new rows, `actions_off`
    on the side of the rows that they refer to. `replica_only`: they still work for a replication role.
    """

    schema: str
    relation: str
    name: str
    referenced_schema: str
    referenced_relation: str
    columns: list[str]
    referenced_columns: list[str]
    checks_off: bool
    actions_off: bool
    replica_only: bool
    locked: bool
    definition: str | None


class InvalidIndex(NamedTuple):
    """An index that queries do not use. `ready`: writes maintain it all the same; `live`: it is not being dropped.

    `build_phase` is known while a build on its table runs; `ddl` is True while a session works on it.
    A `partitioned` index becomes valid when each of `partitions` has its own, `attached` to it.
    """

    schema: str
    name: str
    relation_schema: str
    relation: str
    ready: bool
    live: bool
    unique: bool
    constraint: str | None
    partition: bool
    partitioned: bool
    partitions: int
    attached: int
    build_phase: str | None
    build_percent: float | None
    ddl: bool
    locked: bool
    size_bytes: int | None
    definition: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintsReading:
    """What is unproven, disabled or invalid in one database; rows of locked relations say `locked`."""

    unproven: tuple[UnprovenConstraint, ...] = ()
    disabled: tuple[DisabledForeignKey, ...] = ()
    invalid: tuple[InvalidIndex, ...] = ()


# Inherited ones follow the constraint that they come from: one incident for the parent, none for its copies.
UNPROVEN = Query(
    name="constraints_unproven",
    row=UnprovenConstraint,
    columns=(
        Column("schema", "n.nspname::text"),
        Column("relation", "coalesce(r.relname, d.typname)::text", "Table or domain."),
        Column("name", "c.conname::text"),
        Column(
            "kind",
            "CASE c.contype WHEN 'f' THEN 'foreign key' WHEN 'c' THEN 'check' WHEN 'n' THEN 'not null'"
            " ELSE c.contype::text END",
        ),
        Column("on_domain", "c.conrelid = 0", unit="flag"),
        Column(
            "enforced",
            "c.conenforced",
            "Whether new rows are checked.",
            "flag",
            needs="pg_constraint.conenforced",
            otherwise="true",
        ),
        Column("estimated_rows", "nullif(r.reltuples, -1)::float8", "Rows of the table.", "rows"),
        Column("locked", "l.locked", unit="flag"),
        Column("definition", "CASE WHEN NOT l.locked THEN pg_get_constraintdef(c.oid) END"),
    ),
    source="""
    FROM pg_constraint AS c
    LEFT JOIN pg_class AS r ON r.oid = c.conrelid
    LEFT JOIN pg_type AS d ON d.oid = c.contypid
    JOIN pg_namespace AS n ON n.oid = coalesce(r.relnamespace, d.typnamespace)
    CROSS JOIN LATERAL (
      SELECT c.conrelid = ANY (%(locked)s::oid[]) OR c.confrelid = ANY (%(locked)s::oid[]) AS locked
    ) AS l
    WHERE NOT c.convalidated AND c.conparentid = 0 AND (c.conislocal OR c.coninhcount = 0)
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND coalesce(r.relpersistence, 'p') <> 't'
    ORDER BY 1, 2, 3
    """,
)

# Partitions have copies of the foreign key: all are told as the one at the top.
DISABLED = Query(
    name="constraints_disabled",
    row=DisabledForeignKey,
    columns=(
        Column("schema", "n.nspname::text"),
        Column("relation", "r.relname::text"),
        Column("name", "c.conname::text"),
        Column("referenced_schema", "fn.nspname::text"),
        Column("referenced_relation", "f.relname::text"),
        Column(
            "columns",
            "ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(attnum, position)"
            " JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum ORDER BY k.position)",
        ),
        Column(
            "referenced_columns",
            "ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k(attnum, position)"
            " JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.attnum ORDER BY k.position)",
        ),
        Column("checks_off", "off.checks", "New rows are not checked.", "flag"),
        Column("actions_off", "off.actions", "Deleted keys are not looked after.", "flag"),
        Column("replica_only", "off.replica_only", unit="flag"),
        Column("locked", "l.locked", unit="flag"),
        Column("definition", "CASE WHEN NOT l.locked THEN pg_get_constraintdef(c.oid) END"),
    ),
    source="""
    FROM (
      WITH RECURSIVE disabled AS (
        SELECT t.tgconstraint, starts_with(p.proname, 'RI_FKey_check') AS checks, t.tgenabled = 'R' AS replica
        FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
        WHERE t.tgisinternal AND t.tgenabled NOT IN ('O', 'A') AND starts_with(p.proname, 'RI_FKey_')
      ), up AS (
        SELECT c.oid AS start, c.oid, c.conparentid FROM pg_constraint AS c
        WHERE c.contype = 'f' AND c.oid IN (SELECT tgconstraint FROM disabled)
        UNION ALL
        SELECT up.start, c.oid, c.conparentid FROM up JOIN pg_constraint AS c ON c.oid = up.conparentid
      )
      SELECT up.oid, bool_or(checks) AS checks, bool_or(NOT checks) AS actions, bool_and(replica) AS replica_only
      FROM up JOIN disabled ON disabled.tgconstraint = up.start
      WHERE up.conparentid = 0
      GROUP BY up.oid
    ) AS off
    JOIN pg_constraint AS c ON c.oid = off.oid
    JOIN pg_class AS r ON r.oid = c.conrelid
    JOIN pg_namespace AS n ON n.oid = r.relnamespace
    JOIN pg_class AS f ON f.oid = c.confrelid
    JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
    CROSS JOIN LATERAL (
      SELECT c.conrelid = ANY (%(locked)s::oid[]) OR c.confrelid = ANY (%(locked)s::oid[]) AS locked
    ) AS l
    WHERE r.relpersistence <> 't'
    ORDER BY 1, 2, 3
    """,
)

# A build is looked for by table: REINDEX CONCURRENTLY makes several new indexes and builds them one by one.
INVALID = Query(
    name="constraints_invalid",
    row=InvalidIndex,
    columns=(
        Column("schema", "n.nspname::text"),
        Column("name", "x.relname::text"),
        Column("relation_schema", "rn.nspname::text"),
        Column("relation", "r.relname::text"),
        Column("ready", "i.indisready", "Writes maintain it.", "flag"),
        Column("live", "i.indislive", "It is not being dropped.", "flag"),
        Column("unique", "i.indisunique", unit="flag"),
        Column(
            "constraint",
            "(SELECT min(c.conname::text) FROM pg_constraint AS c"
            " WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))",
        ),
        Column("partition", "x.relispartition", "It belongs to a partitioned index.", "flag"),
        Column("partitioned", "x.relkind = 'I'", unit="flag"),
        Column(
            "partitions",
            "(SELECT count(*) FROM pg_inherits AS h WHERE x.relkind = 'I' AND h.inhparent = r.oid)",
            unit="count",
        ),
        Column(
            "attached",
            "(SELECT count(*) FROM pg_inherits AS h WHERE x.relkind = 'I' AND h.inhparent = x.oid)",
            unit="count",
        ),
        Column("build_phase", "build.phase"),
        Column("build_percent", "build.percent", unit="percent"),
        Column("ddl", "x.oid = ANY (%(concurrent)s::oid[])", unit="flag"),
        Column("locked", "l.locked", unit="flag"),
        Column("size_bytes", "CASE WHEN NOT l.locked THEN pg_relation_size(x.oid) END", "Its size.", "bytes"),
        Column("definition", "CASE WHEN NOT l.locked THEN pg_get_indexdef(x.oid) END"),
    ),
    source="""
    FROM pg_index AS i
    JOIN pg_class AS x ON x.oid = i.indexrelid
    JOIN pg_namespace AS n ON n.oid = x.relnamespace
    JOIN pg_class AS r ON r.oid = i.indrelid
    JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
    LEFT JOIN LATERAL (
      SELECT p.phase, 100.0::float8 * greatest(p.blocks_done, p.tuples_done)
             / nullif(greatest(p.blocks_total, p.tuples_total), 0) AS percent
      FROM pg_stat_progress_create_index AS p
      WHERE p.datname = current_database() AND p.relid = i.indrelid
      ORDER BY p.index_relid = i.indexrelid DESC LIMIT 1
    ) AS build ON true
    CROSS JOIN LATERAL (
      SELECT i.indrelid = ANY (%(locked)s::oid[]) OR i.indexrelid = ANY (%(locked)s::oid[]) AS locked
    ) AS l
    WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND r.relpersistence <> 't'
    ORDER BY 1, 2
    """,
)


def _read(reader: Reader) -> ConstraintsReading:
    (locked,) = reader.rows(LOCKED)
    return ConstraintsReading(
        unproven=reader.rows(UNPROVEN, {"locked": locked.exclusive}),
        disabled=reader.rows(DISABLED, {"locked": locked.exclusive}),
        invalid=reader.rows(INVALID, {"locked": locked.exclusive, "concurrent": locked.concurrent}),
    )


COLLECTOR = Collector(
    name="constraints",
    summary="Constraints not valid or not enforced, foreign keys with disabled triggers, invalid indexes",
    lane=LaneKind.DATABASES,
    interval_s=600.0,
    timeout_s=10.0,
    queries=(LOCKED, UNPROVEN, DISABLED, INVALID),
    read=_read,
    tables={
        UNPROVEN.name: lambda reading: reading.unproven,
        DISABLED.name: lambda reading: reading.disabled,
        INVALID.name: lambda reading: reading.invalid,
    },
)
