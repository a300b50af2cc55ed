"""How much larger tables and B-tree indexes are than their rows need.

Estimated, without reading them: rows and pages of the last vacuum or analyze, and the widths of the columns. Columns of
fixed width (numbers, times, uuid) are known from the catalogue; others need their statistics, which pg_stats shows only
of columns that the role may SELECT. What cannot be told is said to be so: see `Bloat.why`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from collectors._pages import Attribute, btree_bytes, table_bytes
from pgvigil.model.facts import Facts
from pgvigil.model.snapshot import Snapshot
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.query import Column, Query
from pgvigil.problems import Problem
from pgvigil.sql.identifiers import quote_identifier, quote_name

MOST = 100  # tables, and as many indexes: the largest
_SMALLEST_PAGES = 128  # 1 MB: under that nothing is worth an estimate
_LARGE_BYTES = 100 * 1024**2  # from here on a relation that cannot be judged is worth a grant
_CHURN = 0.3  # of the rows changed since the last analyze: pages, rows and widths no longer belong together

HIDDEN = "pg_stats shows its statistics only to a role that may SELECT from the table"
NEVER = "it was never analyzed"
STALE = "too many of its rows have changed since it was analyzed"


class Candidate(NamedTuple):
    """A large table or B-tree index. The arrays are of its columns, in order: `lengths` is negative where it varies.

    `attributes` are the names under which pg_stats knows the columns; `own` where that is under the index itself.
    """

    oid: int
    is_index: bool
    schema: str
    name: str
    relation_schema: str
    relation: str
    size_bytes: int
    rows: float
    dead_rows: int
    changed_rows: int
    fill_percent: float
    block_size: int
    readable: bool
    attributes: list[str]
    lengths: list[int]
    alignments: list[int]
    own: list[bool]


class Width(NamedTuple):
    """Of one column, by its statistics."""

    schema: str
    relation: str
    attribute: str
    width: int
    null_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bloat:
    """One relation: `needed_bytes` is what its rows need; None where that cannot be told, and `why` says the reason."""

    candidate: Candidate
    needed_bytes: float | None = None
    why: str = ""

    @property
    def shown(self) -> str:
        return quote_name(self.candidate.schema, self.candidate.name)

    @property
    def wasted_bytes(self) -> float:
        if self.needed_bytes is None:
            return 0.0
        return max(0.0, self.candidate.size_bytes - self.needed_bytes)

    @property
    def percent(self) -> float:
        return 100.0 * self.wasted_bytes / max(self.candidate.size_bytes, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BloatReading:
    """The largest tables and B-tree indexes."""

    relations: tuple[Bloat, ...] = ()

    @property
    def hidden(self) -> tuple[Bloat, ...]:
        """Large ones that a grant would make judgeable."""
        return tuple(
            each
            for each in self.relations
            if each.why == HIDDEN and each.candidate.size_bytes >= _LARGE_BYTES
        )


_COLUMNS = (
    Column("oid", "c.oid::int8"),
    Column("is_index", "c.relkind = 'i'", unit="flag"),
    Column("schema", "n.nspname::text"),
    Column("name", "c.relname::text"),
    Column("relation_schema", "rn.nspname::text"),
    Column("relation", "r.relname::text"),
    Column("size_bytes", "c.relpages::int8 * current_setting('block_size')::int8", unit="bytes"),
    Column("rows", "c.reltuples::float8", unit="rows"),
    Column("dead_rows", "pg_stat_get_dead_tuples(r.oid)", unit="rows"),
    Column("changed_rows", "pg_stat_get_mod_since_analyze(r.oid)", unit="rows"),
    Column(
        "fill_percent",
        "coalesce((SELECT option_value::float8 FROM pg_options_to_table(c.reloptions)"
        " WHERE option_name = 'fillfactor'), CASE c.relkind WHEN 'i' THEN 90 ELSE 100 END)",
        unit="percent",
    ),
    Column("block_size", "current_setting('block_size')::int8", unit="bytes"),
    Column(
        "readable", "has_table_privilege(r.oid, 'SELECT') AND NOT row_security_active(r.oid)", unit="flag"
    ),
    Column("attributes", "a.names"),
    Column("lengths", "a.lengths"),
    Column("alignments", "a.alignments"),
    Column("own", "a.own"),
)

# An index on an expression has the expression's statistics under its own name.
_ATTRIBUTES = """
    CROSS JOIN LATERAL (
      SELECT array_agg(coalesce(t.attname, a.attname)::text ORDER BY a.attnum) AS names,
             array_agg(a.attlen::int8 ORDER BY a.attnum) AS lengths,
             array_agg(CASE a.attalign WHEN 'c' THEN 1 WHEN 's' THEN 2 WHEN 'i' THEN 4 ELSE 8 END::int8
                       ORDER BY a.attnum) AS alignments,
             array_agg(c.relkind = 'i' AND t.attname IS NULL ORDER BY a.attnum) AS own
      FROM pg_attribute AS a
      LEFT JOIN pg_attribute AS t
        ON c.relkind = 'i' AND t.attrelid = r.oid AND t.attnum > 0
        AND t.attnum = (SELECT i.indkey[a.attnum - 1] FROM pg_index AS i WHERE i.indexrelid = c.oid)
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) AS a
    WHERE a.names IS NOT NULL
    ORDER BY c.relpages DESC, c.oid
"""

TABLES = Query(
    name="bloat_tables",
    row=Candidate,
    columns=_COLUMNS,
    source=f"""
    FROM (
      SELECT c.* FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.relpages >= {_SMALLEST_PAGES}
        AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      ORDER BY c.relpages DESC, c.oid LIMIT {MOST}
    ) AS c
    JOIN pg_class AS r ON r.oid = c.oid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
    {_ATTRIBUTES}
    """,
)

INDEXES = Query(
    name="bloat_indexes",
    row=Candidate,
    columns=_COLUMNS,
    source=f"""
    FROM (
      SELECT c.* FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
      JOIN pg_am AS m ON m.oid = c.relam
      WHERE c.relkind = 'i' AND m.amname = 'btree' AND c.relpersistence <> 't' AND c.relpages >= {_SMALLEST_PAGES}
        AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
      ORDER BY c.relpages DESC, c.oid LIMIT {MOST}
    ) AS c
    JOIN pg_index AS x ON x.indexrelid = c.oid AND x.indisvalid
    JOIN pg_class AS r ON r.oid = x.indrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
    {_ATTRIBUTES}
    """,
)

WIDTHS = Query(
    name="bloat_widths",
    row=Width,
    columns=(
        Column("schema", "schemaname::text"),
        Column("relation", "tablename::text"),
        Column("attribute", "attname::text"),
        Column("width", "avg_width", unit="bytes"),
        Column("null_fraction", "null_frac::float8"),
    ),
    source="FROM pg_stats WHERE NOT inherited AND tablename = ANY (%(relations)s::name[])",
)


def read(reader: Reader) -> BloatReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    candidates: tuple[Candidate, ...] = (*reader.rows(TABLES), *reader.rows(INDEXES))
    names = {name for each in candidates if each.readable for name in (each.relation, each.name)}
    rows: tuple[Width, ...] = reader.rows(WIDTHS, {"relations": sorted(names)}) if names else ()
    widths = {row[:3]: row for row in rows}
    return BloatReading(relations=tuple(estimated(each, widths) for each in candidates))


def estimated(candidate: Candidate, widths: Mapping[tuple[str, str, str], Width]) -> Bloat:
    """What the relation needs, or why that cannot be told."""
    if candidate.rows < 0:
        return Bloat(candidate=candidate, why=NEVER)
    if candidate.changed_rows > _CHURN * max(candidate.rows, 1.0):
        return Bloat(candidate=candidate, why=STALE)
    attributes = tuple(_attributes(candidate, widths))
    if len(attributes) < len(candidate.attributes):
        return Bloat(candidate=candidate, why=NEVER if candidate.readable else HIDDEN)
    rows = candidate.rows + candidate.dead_rows  # what vacuum will free is not counted as bloat
    needed = btree_bytes if candidate.is_index else table_bytes
    return Bloat(
        candidate=candidate,
        needed_bytes=needed(
            attributes, rows, block_size=candidate.block_size, fill_percent=candidate.fill_percent
        ),
    )


def _attributes(candidate: Candidate, widths: Mapping[tuple[str, str, str], Width]) -> Iterable[Attribute]:
    """As many as are known."""
    columns = zip(candidate.attributes, candidate.lengths, candidate.alignments, candidate.own, strict=True)
    for name, length, alignment, own in columns:
        where = (candidate.schema, candidate.name) if own else (candidate.relation_schema, candidate.relation)
        known = widths.get((*where, name))
        nulls = 0.0 if known is None else known.null_fraction
        if length > 0:
            yield Attribute(float(length), alignment, fixed=True, null_fraction=nulls)
        elif known is not None:
            yield Attribute(float(known.width), alignment, fixed=False, null_fraction=nulls)


def _problems(snapshot: Snapshot[BloatReading], facts: Facts) -> Iterable[Problem]:
    hidden = snapshot.rows.hidden
    role = quote_identifier(facts.role)
    if hidden:
        yield Problem(
            slug="bloat-not-covered",
            sentence=f"The bloat of {len(hidden):,} large tables and indexes of database {snapshot.database} cannot be"
            f" estimated, the first one {hidden[0].shown}: their statistics are hidden from the role.",
            fix=f"GRANT pg_read_all_data TO {role};"
            if facts.version_num >= 140000
            else f"GRANT SELECT ON ALL TABLES IN SCHEMA {quote_identifier(hidden[0].candidate.relation_schema)} TO"
            f" {role};",
            why="pg_stats shows the statistics of columns that the role may SELECT, and of no others: it is part of the"
            " tier `plans`. Without it only relations whose columns all have a fixed width are judged.",
        )


COLLECTOR = Collector(
    name="bloat",
    summary="How much larger the largest tables and B-tree indexes are than their rows need, estimated",
    lane=LaneKind.DATABASES,
    interval_s=3600.0,
    timeout_s=15.0,
    queries=(TABLES, INDEXES, WIDTHS),
    read=read,
    problems=_problems,
    families=(
        Family(
            name="relation_bloat_bytes",
            help="Estimated size that the rows of the relation do not need, where that can be told.",
            rows=lambda reading: [each for each in reading.relations if each.needed_bytes is not None],
            value=lambda row: row.wasted_bytes,
            labels={
                "schema": lambda row: row.candidate.schema,
                "relation": lambda row: row.candidate.name,
                "kind": lambda row: "index" if row.candidate.is_index else "table",
            },
        ),
        Family(
            name="relations_bloat_unknown",
            help="Of the largest tables and indexes, those whose bloat cannot be estimated.",
            rows=lambda reading: (reading,),
            value=lambda reading: sum(each.needed_bytes is None for each in reading.relations),
        ),
    ),
)
